"""What runs beside what, and in which order: on both databases, and where PostgreSQL lets more happen at once."""

import asyncio
import contextlib
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert, select, text, update

from ostraka_issuer.feed.log import FeedLog
from ostraka_issuer.settings import load_settings
from ostraka_issuer.store import Store, locks, open_store
from ostraka_issuer.store.intents import add_intent, newest_position
from ostraka_issuer.store.tables import INTENTS, USERS
from ostraka_schemas.events import PermissionRevoked
from ostraka_schemas.records import Position
from ostraka_schemas.subjects import Uri
from tests.issuer.feed.world import ISSUER, KEY, check_chain, new_sequencer, stored, until
from tests.postgres.fixtures import AnotherStore

USER = {"id": "u", "username": "u", "password_hash": "0", "disabled": False, "created_at": 0.0}


def announcing(store: Store) -> Store:
    """The store, with a sequencer that joins its transactions."""
    store.companion = new_sequencer(store)
    return store


async def announce(store: Store, txn: str) -> Position | None:
    """Returns the head as the transaction saw it."""
    async with store.announce() as tx:
        head = await newest_position(tx)
        event = PermissionRevoked(permission="orders:create")
        await add_intent(tx, txn=txn, subject=Uri(uri=ISSUER), event=event, now=1.0)
    return head


async def add_user(store: Store) -> None:
    async with store.write() as tx:
        await tx.execute(insert(USERS).values(USER))


async def version(tx: Any) -> int:
    """How often the user was narrowed; the column is as good as any."""
    return int((await tx.execute(select(USERS.c.password_hash))).scalar_one())


async def narrow(store: Store, txn: str) -> None:
    async with store.announce() as tx:
        row = select(USERS.c.password_hash).with_for_update()
        before = int((await tx.execute(row)).scalar_one())
        await tx.execute(update(USERS).values(password_hash=str(before + 1)))
        event = PermissionRevoked(permission="orders:create")
        await add_intent(tx, txn=txn, subject=Uri(uri=ISSUER), event=event, now=1.0)


async def is_waiting(store: Store) -> bool:
    """Whether somebody waits for a lock of this PostgreSQL database."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with store.read() as tx:
        return bool((await tx.execute(text(waiting))).scalar_one())


async def test_each_change_follows_the_head_that_it_saw(any_store: Store, another_store: AnotherStore) -> None:
    stores = [announcing(any_store), announcing(another_store())]
    seen: dict[str, Position | None] = {}

    async def work(which: int) -> None:
        for number in range(15):
            txn = f"{which}-{number}"
            seen[txn] = await announce(stores[which % 2], txn)

    await asyncio.gather(*(work(which) for which in range(4)))

    records = check_chain(await stored(any_store))
    assert len(records) == 60
    assert [(seen[record.txn] or Position(1, 0)).seq for record in records] == [
        record.position.seq - 1 for record in records
    ]
    async with any_store.read() as tx:
        rows = (await tx.execute(select(INTENTS.c.txn, INTENTS.c.seq).order_by(INTENTS.c.id))).all()
    assert [row.txn for row in rows] == [record.txn for record in records]
    assert [row.seq for row in rows] == list(range(1, 61))


OTHER_PROCESS = """
import asyncio, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ostraka_issuer.settings import load_settings
from ostraka_issuer.store import open_store
from ostraka_schemas.jwk import SigningKey
from tests.issuer.feed import world
from tests.issuer.store.test_order import announce, announcing

world.KEY = SigningKey.from_private(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(sys.argv[3])), "EdDSA")

async def main() -> None:
    store = announcing(open_store(load_settings(home=sys.argv[1])))
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(30):
        await announce(store, f"{sys.argv[2]}-{number}")
    await store.close()

asyncio.run(main())
"""


async def test_several_processes_leave_no_gap(any_store: Store, store_url: str | None, tmp_path: Path) -> None:
    key = KEY.private
    assert isinstance(key, Ed25519PrivateKey)
    environment = {"OSTRAKA_DATABASE": store_url} if store_url else {}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OTHER_PROCESS, str(tmp_path), name, key.private_bytes_raw().hex()],
            env={**environment, "PYTHONPATH": str(Path(__file__).parents[3])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in ("a", "b")
    ]
    with contextlib.ExitStack() as stack:
        for process in processes:
            stack.enter_context(process)
            stack.callback(process.kill)
        for process in processes:
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"
        for process in processes:
            await asyncio.to_thread(process.communicate, b"go\n", 60)
        assert [process.returncode for process in processes] == [0, 0]
    records = check_chain(await stored(any_store))
    assert sorted(record.txn for record in records) == sorted(f"{name}-{n}" for name in "ab" for n in range(30))
    async with any_store.read() as tx:
        seqs = (await tx.execute(select(INTENTS.c.seq).order_by(INTENTS.c.id))).scalars().all()
    assert list(seqs) == list(range(1, 61))


async def test_nothing_in_a_token_is_older_than_its_place_in_the_feed(
    any_store: Store, another_store: AnotherStore
) -> None:
    stores = [announcing(any_store), announcing(another_store())]
    await add_user(any_store)
    minted: list[tuple[int, int]] = []
    done = asyncio.Event()

    async def mint(store: Store) -> None:
        while not done.is_set():
            async with store.write() as tx:
                head = await newest_position(tx)  # Before anything else.
                minted.append((head.seq if head else 0, await version(tx)))

    minters = [asyncio.create_task(mint(store)) for store in stores * 2]
    for number in range(20):
        await narrow(stores[number % 2], f"n{number}")
    done.set()
    await asyncio.gather(*minters)

    # The n-th narrowing has the n-th place, so a token that claims to know n records must have been narrowed n times.
    assert minted
    assert [(seq, said) for seq, said in minted if said < seq] == []


async def test_the_order_of_the_two_reads_is_what_matters(postgres_url: str, tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, database=postgres_url)
    store, other = open_store(settings), announcing(open_store(settings))
    await add_user(store)
    async with store.write() as tx:
        head = await newest_position(tx)
        await narrow(other, "a")
        right = (0 if head is None else head.seq, await version(tx))
    async with store.write() as tx:
        said = await version(tx)
        await narrow(other, "b")
        head = await newest_position(tx)
    await store.close()
    await other.close()
    assert right == (0, 1)  # Newer than it claims: does no harm.
    assert head == Position(1, 2)
    assert said == 1  # Older than it would claim: a token that no verifier could tell from a narrowed one.


@pytest.mark.parametrize("how", ["row", "everyone"])
async def test_what_is_held_does_not_change_until_the_holder_has_ended(
    how: str, postgres_url: str, tmp_path: Path
) -> None:
    settings = load_settings(home=tmp_path, database=postgres_url)
    store, other = open_store(settings), announcing(open_store(settings))
    await add_user(store)

    async def end_it() -> None:
        if how == "row":
            await narrow(other, "a")
        else:
            async with other.announce() as tx:
                await locks.exclude_everyone(tx)
                await tx.execute(update(USERS).values(password_hash="1"))

    async def hold(tx: Any) -> None:
        if how == "row":
            await tx.execute(select(USERS.c.id).with_for_update(read=True))
        else:
            await locks.share_everyone(tx)

    async with store.write() as first, store.write() as second:
        await hold(first)
        await hold(second)  # Any number at once.
        ending = asyncio.create_task(end_it())
        await until(lambda: is_waiting(store), "somebody who waits")
        assert [await version(first), await version(second)] == [0, 0]
        assert not ending.done()
    await ending
    async with store.read() as tx:
        assert await version(tx) == 1
    await store.close()
    await other.close()


async def test_a_login_does_not_wait_for_a_revocation(postgres_url: str, tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, database=postgres_url)
    store, other = open_store(settings), open_store(settings)
    async with store.announce() as tx:
        await newest_position(tx)
        await add_user(store)
        await add_user_named(other, "v")
    await store.close()
    await other.close()


async def add_user_named(store: Store, name: str) -> None:
    async with store.write() as tx:
        await tx.execute(insert(USERS).values({**USER, "id": name, "username": name}))


@pytest.mark.parametrize("by", ["announce", "work"])
async def test_whoever_listens_hears_of_what_another_process_committed(
    by: str, any_store: Store, another_store: AnotherStore
) -> None:
    other, heard = another_store(), asyncio.Event()
    async with any_store.listen(heard.set):
        for txn in ("a", "b"):
            if by == "announce":
                await announce(other, txn)
            else:
                await other.work(
                    lambda connection: connection.execute(
                        insert(USERS).values(
                            {**USER, "id": txn, "username": txn}  # noqa: B023
                        )
                    )
                )
            await asyncio.wait_for(heard.wait(), 30)
            heard.clear()


async def test_who_listens_is_told_to_look_after_its_connection_broke(postgres_url: str, tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, database=postgres_url)
    store, other, heard = open_store(settings), open_store(settings), asyncio.Event()
    own: list[int] = []
    async with store.listen(heard.set):
        await announce(store, "a")
        await announce(other, "b")
        await asyncio.wait_for(heard.wait(), 30)
        heard.clear()
        async with other.read() as tx:
            query = (
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query ~ '^LISTEN|SELECT 1$'"
            )
            own = list((await tx.execute(text(query))).scalars())
            await tx.execute(text("SELECT pg_terminate_backend(:pid)"), [{"pid": pid} for pid in own])
        await asyncio.wait_for(heard.wait(), 30)
        heard.clear()
        await announce(other, "c")
        await asyncio.wait_for(heard.wait(), 30)
    assert own
    assert len(await FeedLog(store).after(None, 9)) == 0
    await store.close()
    await other.close()


async def test_places_are_told_in_the_order_of_the_commits_whoever_gives_up(any_store: Store) -> None:
    told: list[int] = []
    sequencer = new_sequencer(any_store)
    any_store.companion = sequencer
    committed = sequencer._committed

    def tell(batch: Any) -> None:
        told.extend(record.position.seq for record in batch.records)
        committed(batch)

    sequencer._committed = tell  # type: ignore[method-assign]
    tasks = [asyncio.create_task(announce(any_store, f"t{number}")) for number in range(30)]
    for task in tasks[::3]:
        await asyncio.sleep(0.002)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # Whoever was cancelled was committed and told, or neither.
    assert told == [record.position.seq for record in check_chain(await stored(any_store))]
    assert all(later == earlier + 1 for earlier, later in pairwise(told))
