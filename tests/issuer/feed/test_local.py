import asyncio
from collections.abc import Sequence
from random import Random

import pytest

from ostraka_consumers.sources.base import Source
from ostraka_consumers.trust.receipt import Outcome, Receipt
from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.feed.follower import Beat, Followers
from ostraka_issuer.feed.local import LocalSource
from ostraka_issuer.feed.log import FeedLog, StoredRecord
from ostraka_issuer.feed.start import Start
from ostraka_issuer.store import Store
from ostraka_schemas.records import Position
from tests.issuer.feed.world import Heard, commit, new_sequencer, stored, until


class Sink:
    """Takes whatever comes. ``jumps_to``: where the verifier is once a part of a snapshot was delivered."""

    incomplete = False
    root_version = 0
    wants_snapshot = False
    position: Position | None = None
    jumps_to: Position | None = None

    def __init__(self) -> None:
        self.delivered: list[bytes] = []
        self.states: list[str] = []

    def deliver(self, raw: bytes) -> Receipt:
        self.delivered.append(raw)
        if raw.startswith(b"part"):
            self.position = self.jumps_to
        return Receipt(Outcome.APPLIED)

    def silence(self) -> float:
        return 0.0

    def report(self, state: str) -> None:
        self.states.append(state)


async def test_everything_stored_then_everything_new(store: Store) -> None:
    await commit(store, "a", "b")
    heard = Heard()
    sequencer = new_sequencer(store, heard)
    await sequencer.settle()
    followers = Followers(FeedLog(store).after)
    asked: list[bool] = []
    source: Source = LocalSource(followers, lambda: asked.append(True), random=Random(1))
    sink = Sink()
    task = asyncio.create_task(source.run(sink))
    await until(lambda: len(sink.delivered) == 2)
    assert asked
    assert sink.states[-1] == "reading"

    await commit(store, "c")
    await sequencer.settle()
    followers.push(heard.records[2:])
    followers.push_beat(Beat((await FeedLog(store).head()) or pytest.fail("no head"), b"beat"))
    await until(lambda: len(sink.delivered) == 4)
    assert sink.delivered == [*await stored(store), b"beat"]
    task.cancel()
    await asyncio.wait({task})


async def test_more_than_it_can_hold_comes_from_the_database(store: Store) -> None:
    heard = Heard()
    sequencer = new_sequencer(store, heard)
    followers = Followers(FeedLog(store).after)
    sink = Sink()
    task = asyncio.create_task(LocalSource(followers, lambda: None, random=Random(1), memory=4).run(sink))
    await asyncio.sleep(0)
    for round_ in range(5):
        told = len(heard.records)
        await commit(store, *(f"t{round_}-{number}" for number in range(7)))
        await sequencer.settle()
        followers.push(heard.records[told:])
    await until(lambda: len(sink.delivered) == 35)
    assert sink.delivered == await stored(store)
    task.cancel()
    await asyncio.wait({task})


async def test_it_can_be_run_again_and_waits_for_a_database_that_is_away(store: Store) -> None:
    await commit(store, "a")
    await new_sequencer(store).settle()
    log, failures = FeedLog(store), 2

    async def read(after: Position | None, limit: int) -> Sequence[StoredRecord]:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreUnavailable("away")
        return await log.after(after, limit)

    source = LocalSource(Followers(read), lambda: None, random=Random(1))
    for _ in range(2):
        sink = Sink()
        task = asyncio.create_task(source.run(sink))
        await until(lambda sink=sink: sink.delivered)
        assert sink.delivered == await stored(store)
        task.cancel()
        await asyncio.wait({task})
    assert failures == 0


async def start() -> Start | None:
    return Start([b"{root 1}", b"{root 2}"], [b"part 1", b"part 2"], Position(1, 2))


@pytest.mark.parametrize("taken", [True, False])
async def test_it_starts_from_the_stored_snapshot_if_that_is_taken(store: Store, taken: bool) -> None:
    await commit(store, "a", "b", "c")
    await new_sequencer(store).settle()
    followers = Followers(FeedLog(store).after)
    beat = Beat((await FeedLog(store).head()) or pytest.fail("no head"), b"beat")
    sink = Sink()
    sink.jumps_to = Position(1, 2) if taken else None
    source = LocalSource(followers, lambda: followers.push_beat(beat), random=Random(1), find_start=start)
    task = asyncio.create_task(source.run(sink))
    await until(lambda: sink.delivered[-1:] == [b"beat"] and len(sink.delivered) > 5)
    records = await stored(store)
    # The heartbeat comes first, since no verifier jumps to where no heartbeat has been.
    assert sink.delivered == [
        b"{root 1}",
        b"{root 2}",
        b"beat",
        b"part 1",
        b"part 2",
        *(records[2:] if taken else records),
        b"beat",
    ]
    task.cancel()
    await asyncio.wait({task})


async def test_a_heartbeat_of_an_earlier_process_does_not_lead_to_the_snapshot(store: Store) -> None:
    await commit(store, "a", "b", "c")
    await new_sequencer(store).settle()
    first, *_, last = await FeedLog(store).hashes_after(None, 3)
    followers = Followers(FeedLog(store).after)
    followers.push_beat(Beat(first, b"old beat"))
    sink = Sink()
    sink.jumps_to = Position(1, 2)
    task = asyncio.create_task(LocalSource(followers, lambda: None, random=Random(1), find_start=start).run(sink))
    followers.push_beat(Beat(first, b"old beat"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert sink.delivered == []
    followers.push_beat(Beat(last, b"beat"))
    await until(lambda: len(sink.delivered) == 7)
    assert sink.delivered[2:5] == [b"beat", b"part 1", b"part 2"]
    task.cancel()
    await asyncio.wait({task})


async def test_whoever_is_on_its_way_goes_on_from_there(store: Store) -> None:
    await commit(store, "a", "b", "c")
    await new_sequencer(store).settle()
    sink = Sink()
    sink.position = Position(1, 2)
    source = LocalSource(Followers(FeedLog(store).after), lambda: None, random=Random(1), find_start=start)
    task = asyncio.create_task(source.run(sink))
    await until(lambda: sink.delivered)
    assert sink.delivered == (await stored(store))[2:]
    task.cancel()
    await asyncio.wait({task})


async def test_without_a_heartbeat_it_reads_everything(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostraka_issuer.feed.local.FEED_HEARD", 0.01)
    await commit(store, "a", "b")
    await new_sequencer(store).settle()
    sink = Sink()
    source = LocalSource(Followers(FeedLog(store).after), lambda: None, random=Random(1), find_start=start)
    task = asyncio.create_task(source.run(sink))
    await until(lambda: len(sink.delivered) == 2)
    assert sink.delivered == await stored(store)
    task.cancel()
    await asyncio.wait({task})
