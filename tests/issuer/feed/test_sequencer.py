import asyncio
import shutil
import sqlite3
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from ostraka_consumers.clock import ManualClock
from ostraka_issuer.errors import FeedError, StoreUnavailable
from ostraka_issuer.feed import sequencer as module
from ostraka_issuer.feed.log import FeedLog
from ostraka_issuer.limits import FEED_REFUSED
from ostraka_issuer.store import Store
from ostraka_issuer.store.tables import INTENTS
from ostraka_schemas.events import KeySetChanged, PermissionRevoked, PublishedKey, TokensRevoked
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.records import Position, record_hash
from tests.issuer.feed.world import Heard, check_chain, commit, new_sequencer, new_store, stored
from tests.postgres.fixtures import AnotherStore


async def test_intents_become_a_chain_in_the_order_of_their_commits(store: Store) -> None:
    await commit(store, "a", "b")
    await commit(store, "c")
    heard = Heard()
    sequencer = new_sequencer(store, heard, clock=ManualClock(wall=1_800_000_000.9))

    assert await sequencer.step() == 3

    raws = await stored(store)
    records = check_chain(raws)
    assert [record.txn for record in records] == ["a", "b", "c"]
    assert [record.iat for record in records] == [1_800_000_000] * 3
    assert len({record.jti for record in records}) == 3
    first = records[0].event
    assert isinstance(first, PermissionRevoked)
    assert first.permission == "orders:create"
    assert [record.raw for record in heard.records] == raws
    assert [record.hash for record in heard.records] == [record_hash(raw) for raw in raws]
    assert await sequencer.step() == 0


async def test_a_second_sequencer_goes_on_where_the_first_ended(store: Store) -> None:
    await commit(store, "a")
    await new_sequencer(store).step()
    await commit(store, "b")
    await new_sequencer(store).step()

    assert [record.txn for record in check_chain(await stored(store))] == ["a", "b"]


async def test_an_intent_is_done_when_it_has_a_place(store: Store) -> None:
    await commit(store, "a", "b")
    await new_sequencer(store).step()

    async with store.read() as tx:
        rows = (await tx.execute(select(INTENTS.c.txn, INTENTS.c.seq).order_by(INTENTS.c.id))).all()
    assert [tuple(row) for row in rows] == [("a", 1), ("b", 2)]
    assert await FeedLog(store).position_of("b") == Position(1, 2)
    assert await FeedLog(store).position_of("c") is None


async def test_two_sequencers_at_once_give_every_place_once(store: Store, another_store: AnotherStore) -> None:
    other = another_store()
    txns = [f"t{number}" for number in range(40)]
    sequencers = [new_sequencer(store, batch=3), new_sequencer(other, batch=3)]

    async def work(which: int) -> None:
        for txn in txns[which::2]:
            await commit([store, other][which], txn)
            await sequencers[which].step()

    await asyncio.gather(work(0), work(1))
    await sequencers[0].settle()
    assert {record.txn for record in check_chain(await stored(store))} == set(txns)


async def test_the_first_record_of_a_new_epoch_starts_a_new_chain(store: Store) -> None:
    await commit(store, "a", "b")
    await new_sequencer(store).step()
    await commit(store, "c")
    await new_sequencer(store, epoch=2).step()

    raws = await stored(store)
    check_chain(raws[:2])
    check_chain(raws[2:], epoch=2)


class _Crash(Exception):
    pass


@pytest.mark.parametrize("where", ["sequence.before_sign", "sequence.before_commit", "sequence.after_commit"])
async def test_a_crash_between_any_two_steps_leads_to_the_same_bytes(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_store(tmp_path / "original")
    await commit(store, "a")
    await new_sequencer(store).step()
    await commit(store, "b", "c")
    await store.close()
    shutil.copytree(tmp_path / "original", tmp_path / "copy")

    def crash(name: str) -> None:
        if name == where:
            raise _Crash

    crashed = new_store(tmp_path / "original")
    with monkeypatch.context() as patch:
        patch.setattr(module, "hit", crash)
        with pytest.raises(_Crash):
            await new_sequencer(crashed).step()
    await new_sequencer(crashed).step()
    untroubled = new_store(tmp_path / "copy")
    await new_sequencer(untroubled).step()

    assert await stored(crashed) == await stored(untroubled)
    check_chain(await stored(crashed))
    await crashed.close()
    await untroubled.close()


async def test_what_is_stored_is_never_signed_again(store: Store) -> None:
    clock = ManualClock()
    await commit(store, "a")
    await new_sequencer(store, clock=clock).step()
    before = await stored(store)
    clock.advance(100)
    await commit(store, "b")
    await new_sequencer(store, clock=clock).step()

    assert (await stored(store))[:1] == before


@given(
    txns=st.lists(st.text("abcdefgh0123456789", min_size=1, max_size=12), unique=True, min_size=1, max_size=25),
    batch=st.integers(1, 30),
    cuts=st.lists(st.integers(0, 25), max_size=5),
)
@settings(max_examples=40, deadline=None)
def test_any_split_into_batches_and_commits_gives_the_same_chain(
    txns: list[str], batch: int, cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def scenario() -> tuple[list[bytes], list[bytes]]:
        folder = tmp_path_factory.mktemp("split")
        whole, split = new_store(folder / "whole"), new_store(folder / "split")
        await commit(whole, *txns)
        await new_sequencer(whole).settle()
        sequencer = new_sequencer(split, batch=batch)
        edges = sorted({0, len(txns), *(min(cut, len(txns)) for cut in cuts)})
        for start, stop in pairwise(edges):
            await commit(split, *txns[start:stop])
            await sequencer.step()
        await sequencer.settle()
        result = await stored(whole), await stored(split)
        await whole.close()
        await split.close()
        return result

    whole, split = asyncio.run(scenario())
    assert whole == split
    assert [record.txn for record in check_chain(split)] == txns


async def _damage(store: Store, txn: str, **values: object) -> None:
    async with store.write() as tx:
        await tx.execute(update(INTENTS).where(INTENTS.c.txn == txn).values(**values))


@pytest.mark.parametrize(
    "damage",
    [
        {"event": {"permission": 7}},
        {"event": {}},
        {"event": []},
        {"event_uri": "urn:ostraka:event:nothing"},
        {"subject": {"format": "nothing"}},
        {"subject": {"format": "iss_sub", "iss": "i", "sub": "s"}},
    ],
)
async def test_an_intent_that_cannot_be_signed_is_set_aside_and_holds_up_nobody(
    store: Store, damage: dict[str, object]
) -> None:
    await commit(store, "a", "bad", "c")
    await _damage(store, "bad", **damage)
    heard = Heard()
    sequencer = new_sequencer(store, heard)

    await sequencer.settle()

    assert [record.txn for record in check_chain(await stored(store))] == ["a", "c"]
    assert [txn for txn, _ in heard.refused] == ["bad"]
    assert sequencer.set_aside == 1
    await commit(store, "d")
    await sequencer.settle()
    assert [record.txn for record in check_chain(await stored(store))] == ["a", "c", "d"]
    assert len(heard.refused) == 1


async def test_text_that_is_no_json_spoils_only_its_own_intent(sqlite_store: Store, tmp_path: Path) -> None:
    store = sqlite_store  # The other database refuses to keep it.
    await commit(store, "a", "bad", "c")
    with sqlite3.connect(tmp_path / "ostraka.db") as connection:
        connection.execute("UPDATE intents SET event = '{\"permission\": ' WHERE txn = 'bad'")
    connection.close()
    heard = Heard()
    await new_sequencer(store, heard).settle()

    assert [record.txn for record in check_chain(await stored(store))] == ["a", "c"]
    assert [txn for txn, _ in heard.refused] == ["bad"]


async def test_an_intent_too_large_for_a_record_is_set_aside(store: Store) -> None:
    event = TokensRevoked(tokens=[(f"{number:0200d}", 1) for number in range(400)])
    await commit(store, "large", event=event)
    await commit(store, "small")
    heard = Heard()
    await new_sequencer(store, heard).settle()

    assert [record.txn for record in check_chain(await stored(store))] == ["small"]
    assert heard.refused[0][0] == "large"
    assert "65536" in heard.refused[0][1]


async def test_an_intent_that_was_repaired_is_sequenced_after_a_restart(store: Store) -> None:
    await commit(store, "bad")
    await _damage(store, "bad", event={})
    await new_sequencer(store).settle()
    await _damage(store, "bad", event={"permission": "orders:read"})
    await new_sequencer(store).settle()

    assert [record.txn for record in check_chain(await stored(store))] == ["bad"]


async def test_a_repaired_key_set_never_replaces_a_newer_one(store: Store) -> None:
    def key_set() -> KeySetChanged:
        jwk = SigningKey.generate("ES256").public.to_jwk()
        return KeySetChanged(
            keys=[PublishedKey(jwk=jwk, alg="ES256", state="active", nbf=1, exp=2, max_token_lifetime=300)]
        )

    older, newer = key_set(), key_set()
    await commit(store, "older", event=older)
    await _damage(store, "older", event={})
    await commit(store, "newer", event=newer)
    await new_sequencer(store).settle()
    await _damage(store, "older", event=older.model_dump(mode="json"))
    heard = Heard()
    await new_sequencer(store, heard).settle()

    assert [record.txn for record in check_chain(await stored(store))] == ["newer"]
    assert heard.refused == [("older", "a newer key set is in the feed already")]


async def test_many_intents_that_cannot_be_signed_end_the_feed(store: Store) -> None:
    await commit(store, *(f"bad{number}" for number in range(FEED_REFUSED + 1)))
    async with store.write() as tx:
        await tx.execute(update(INTENTS).values(event={}))
    sequencer = new_sequencer(store)

    with pytest.raises(FeedError, match=str(FEED_REFUSED)):
        await sequencer.settle()
    with pytest.raises(FeedError):
        await sequencer.step()


async def test_settling_gives_up_when_intents_come_faster(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEED_BATCHES_TO_SETTLE", 2)
    await commit(store, *(f"t{number}" for number in range(5)))
    with pytest.raises(FeedError, match="faster"):
        await new_sequencer(store, batch=2).settle()
    await new_sequencer(store, batch=2).settle()
    assert len(await stored(store)) == 5


async def test_the_loop_works_when_it_is_woken_and_survives_a_database_that_does_not_answer(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    sequencer = new_sequencer(store, heard)
    real, failures = sequencer.step, 2

    async def failing() -> int:
        nonlocal failures
        if failures:
            failures -= 1
            sequencer.wake()
            raise StoreUnavailable("away")
        return await real()

    monkeypatch.setattr(sequencer, "step", failing)
    task = asyncio.create_task(sequencer.run())
    await commit(store, "a")
    sequencer.wake()
    async with asyncio.timeout(30):
        while not heard.records:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    check_chain([record.raw for record in heard.records])
