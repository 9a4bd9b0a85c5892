import asyncio

import pytest

from ostraka_issuer.errors import FeedDown, IntentSetAside
from ostraka_issuer.feed.log import FeedLog, StoredRecord
from ostraka_issuer.feed.places import Places
from ostraka_issuer.store import Store
from ostraka_schemas.records import Position
from tests.issuer.feed.world import commit, new_sequencer


def record(txn: str, seq: int = 1) -> StoredRecord:
    return StoredRecord(Position(1, seq), bytes(32), b"", txn, 0.0)


async def _started(task: "asyncio.Task[Position | None]", places: Places, txn: str) -> None:
    async with asyncio.timeout(10):
        while txn not in places._waiting:
            await asyncio.sleep(0)
    assert not task.done()


async def test_whoever_waits_is_told(store: Store) -> None:
    places = Places(FeedLog(store))
    waiting = [asyncio.create_task(places.find("a", 60)) for _ in range(2)]
    await _started(waiting[0], places, "a")
    places.tell([record("a", 7), record("b", 8)])
    assert [await task for task in waiting] == [Position(1, 7)] * 2
    assert await places.find("b", 0) == Position(1, 8)


async def test_a_place_of_before_is_in_the_database(store: Store) -> None:
    await commit(store, "a")
    await new_sequencer(store).step()
    assert await Places(FeedLog(store)).find("a", 0) == Position(1, 1)


async def test_nothing_within_the_time(store: Store) -> None:
    assert await Places(FeedLog(store)).find("a", 0.01) is None


async def test_what_was_set_aside_is_an_error_for_those_who_wait_and_those_who_come(store: Store) -> None:
    places = Places(FeedLog(store))
    waiting = asyncio.create_task(places.find("a", 60))
    await _started(waiting, places, "a")
    places.refuse("a", "too large")
    for _ in range(2):
        with pytest.raises(IntentSetAside, match="too large"):
            await waiting
        waiting = asyncio.create_task(places.find("a", 60))
    with pytest.raises(IntentSetAside):
        await waiting


async def test_the_end_reaches_whoever_waits(store: Store) -> None:
    places = Places(FeedLog(store))
    waiting = asyncio.create_task(places.find("a", 60))
    await _started(waiting, places, "a")
    places.end(FeedDown("gone"))
    with pytest.raises(FeedDown, match="gone"):
        await waiting


async def test_waiters_and_memories_are_bounded(store: Store) -> None:
    places = Places(FeedLog(store), most=2)
    waiting = [asyncio.create_task(places.find(txn, 60)) for txn in "ab"]
    await _started(waiting[1], places, "b")
    assert await places.find("c", 60) is None
    places.tell([record(txn, seq) for seq, txn in enumerate("abcd", start=1)])
    assert [await task for task in waiting] == [Position(1, 1), Position(1, 2)]
    assert await places.find("d", 0) == Position(1, 4)
    assert await places.find("a", 0) is None  # forgotten, and this database knows nothing
    assert places._waiting == {}


async def test_cancelled_waiters_leave_nothing_behind(store: Store) -> None:
    places = Places(FeedLog(store))
    waiting = asyncio.create_task(places.find("a", 60))
    await _started(waiting, places, "a")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert places._waiting == {}
    places.tell([record("a")])
