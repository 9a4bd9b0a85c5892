import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.feed.follower import Beat, Follower, Followers
from ostraka_issuer.feed.log import StoredRecord
from ostraka_schemas.records import Head, Position


def record(seq: int) -> StoredRecord:
    return StoredRecord(Position(1, seq), bytes([seq % 256]) * 32, b"raw %d" % seq, f"t{seq}", 0.0)


def beat(seq: int) -> Beat:
    return Beat(Head(Position(1, seq), bytes(32)), b"beat at %d" % seq)


class Database:
    """Records 1 to ``head``, and how often somebody looked."""

    def __init__(self, head: int = 0) -> None:
        self.head = head
        self.reads = 0
        self.broken = False

    async def read(self, after: Position | None, limit: int) -> Sequence[StoredRecord]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.broken:
            raise StoreUnavailable("broken")
        first = after.seq + 1 if after else 1
        return [record(seq) for seq in range(first, self.head + 1)][:limit]


async def seqs(follower: Follower) -> list[int]:
    async with asyncio.timeout(10):
        return [record.position.seq for record in (await follower.take()).records]


async def test_first_from_the_database_then_from_memory() -> None:
    database = Database(5)
    follower = Follower(database.read, page=3)
    assert await seqs(follower) == [1, 2, 3]
    assert await seqs(follower) == [4, 5]
    reads = database.reads
    follower.push([record(6), record(7)])
    assert await seqs(follower) == [6, 7]
    assert database.reads == reads


async def test_waits_for_news() -> None:
    follower = Follower(Database().read)
    taking = asyncio.create_task(seqs(follower))
    await asyncio.sleep(0)
    follower.push([record(1)])
    assert await taking == [1]


async def test_what_overflows_is_read_from_the_database() -> None:
    database = Database(1)
    follower = Follower(database.read, memory=3)
    assert await seqs(follower) == [1]
    database.head = 6
    follower.push([record(seq) for seq in range(2, 5)])
    follower.push([record(5)])
    follower.push([record(6)])
    assert await seqs(follower) == [2, 3, 4, 5, 6]
    database.head = 7
    follower.push([record(7)])
    assert await seqs(follower) == [7]


async def test_a_missing_step_is_read_from_the_database() -> None:
    database = Database(1)
    follower = Follower(database.read)
    assert await seqs(follower) == [1]
    database.head = 3
    follower.push([record(3)])
    assert await seqs(follower) == [2, 3]


async def test_what_it_was_told_twice_it_gives_once() -> None:
    follower = Follower(Database(2).read)
    follower.push([record(1), record(2)])
    assert await seqs(follower) == [1, 2]
    follower.push([record(2), record(3)])
    assert await seqs(follower) == [3]


async def test_a_heartbeat_never_comes_before_the_records_it_vouches_for() -> None:
    database = Database(3)
    follower = Follower(database.read, page=2)
    follower.push_beat(beat(3))
    portion = await follower.take()
    assert [r.position.seq for r in portion.records] == [1, 2]
    assert portion.beat is None
    portion = await follower.take()
    assert [r.position.seq for r in portion.records] == [3]
    assert portion.beat == beat(3)


async def test_only_the_newest_heartbeat_is_kept() -> None:
    follower = Follower(Database(1).read)
    follower.push_beat(beat(1))
    newest = beat(1)._replace(raw=b"newest")
    follower.push_beat(newest)
    assert (await follower.take()).beat == newest


async def test_a_heartbeat_betrays_records_that_never_came() -> None:
    database = Database(1)
    follower = Follower(database.read)
    assert await seqs(follower) == [1]
    database.head = 2
    follower.push_beat(beat(2))
    portion = await follower.take()
    assert [r.position.seq for r in portion.records] == [2]
    assert portion.beat == beat(2)


async def test_a_heartbeat_for_what_nobody_stored_is_dropped() -> None:
    database = Database(1)
    follower = Follower(database.read)
    assert await seqs(follower) == [1]
    follower.push_beat(beat(9))
    taking = asyncio.create_task(follower.take())
    for _ in range(20):
        await asyncio.sleep(0)
    assert database.reads < 5
    follower.push_beat(beat(1))
    assert (await taking).beat == beat(1)


async def test_rewinding_gives_everything_again() -> None:
    follower = Follower(Database(3).read)
    assert await seqs(follower) == [1, 2, 3]
    follower.rewind(Position(1, 1))
    assert await seqs(follower) == [2, 3]
    follower.rewind(None)
    assert await seqs(follower) == [1, 2, 3]


async def test_a_database_that_fails_costs_nothing() -> None:
    database = Database(2)
    database.broken = True
    follower = Follower(database.read)
    with pytest.raises(StoreUnavailable):
        await follower.take()
    database.broken = False
    assert await seqs(follower) == [1, 2]


async def test_cancelling_while_it_reads_loses_nothing() -> None:
    follower = Follower(Database(2).read)
    taking = asyncio.create_task(follower.take())
    await asyncio.sleep(0)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert await seqs(follower) == [1, 2]


async def test_all_that_are_open_hear_of_news() -> None:
    database = Database()
    followers = Followers(database.read)
    one, other = followers.open(), followers.open()
    closed = followers.open()
    followers.close(closed)
    followers.push([record(1)])
    followers.push_beat(beat(1))
    database.head = 1
    for follower in (one, other):
        portion = await follower.take()
        assert ([r.position.seq for r in portion.records], portion.beat) == ([1], beat(1))
    assert closed.place is None


@given(
    steps=st.lists(
        st.tuples(st.integers(1, 6), st.booleans(), st.booleans(), st.integers(0, 3)), min_size=1, max_size=20
    ),
    memory=st.integers(1, 8),
    page=st.integers(1, 5),
)
@settings(max_examples=200, deadline=None)
def test_whatever_is_lost_or_overflows_every_record_comes_once_and_in_order(
    steps: list[tuple[int, bool, bool, int]], memory: int, page: int
) -> None:
    async def scenario() -> tuple[list[int], int]:
        database = Database()
        follower = Follower(database.read, memory=memory, page=page)
        got: list[int] = []
        for size, told, beaten, takes in steps:
            new = [record(database.head + number) for number in range(1, size + 1)]
            database.head += size
            if told:
                follower.push(new)
            if beaten:
                follower.push_beat(beat(database.head))
            for _ in range(takes):
                if told or beaten:
                    try:
                        async with asyncio.timeout(0.001):
                            got += [r.position.seq for r in (await follower.take()).records]
                    except TimeoutError:
                        break
        follower.push_beat(beat(database.head))
        async with asyncio.timeout(10):
            while len(got) < database.head:
                portion = await follower.take()
                got += [r.position.seq for r in portion.records]
                if portion.beat is not None:
                    assert portion.beat.head.position.seq <= len(got)
        return got, database.head

    got, head = asyncio.run(scenario())
    assert got == list(range(1, head + 1))
