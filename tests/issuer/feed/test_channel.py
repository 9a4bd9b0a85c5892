"""What readers over HTTP share: the newest records, one question to the database, a bell."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.feed.bell import Bell
from ostraka_issuer.feed.channel import Channel
from ostraka_issuer.feed.follower import Beat
from ostraka_issuer.feed.frames import START, Entry, beat_frame, lines, make_entry
from ostraka_issuer.feed.log import FeedLog, StoredRecord
from ostraka_issuer.feed.recent import Recent
from ostraka_issuer.feed.shared_read import SharedRead
from ostraka_issuer.store import Store
from ostraka_schemas.records import Head, Position
from tests.issuer.feed.test_follower import Database, beat, record
from tests.issuer.feed.world import commit, new_sequencer, stored

# --- frames ----------------------------------------------------------------------------------------------------------


def test_a_record_and_a_heartbeat_as_events_and_lines() -> None:
    assert make_entry(record(7)).frame == b"id: 1:7\nevent: record\ndata: raw 7\n\n"
    assert beat_frame(beat(7)) == b"event: heartbeat\ndata: beat at 7\n\n"
    assert lines([b"a", b"b"]) == b"a\nb\n"
    assert lines([]) == b""


# --- recent ----------------------------------------------------------------------------------------------------------


def entry(epoch: int, seq: int, size: int = 1) -> Entry:
    return Entry(Position(epoch, seq), b"x" * size, b"")


def entries(epoch: int, first: int, last: int) -> list[Entry]:
    return [entry(epoch, seq) for seq in range(first, last + 1)]


def places(found: Sequence[Entry]) -> list[tuple[int, int]]:
    return [(each.position.epoch, each.position.seq) for each in found]


def test_nothing_is_covered_by_nothing() -> None:
    assert not Recent().covers(START)
    assert Recent().last is None


def test_what_was_dropped_is_not_covered() -> None:
    recent = Recent(most=3)
    recent.add(entries(1, 1, 3))
    assert recent.covers(START)
    recent.add(entries(1, 4, 5))
    assert recent.last == Position(1, 5)
    assert not recent.covers(Position(1, 1))
    assert recent.covers(Position(1, 2))
    assert places(recent.after(Position(1, 2), 2)) == [(1, 3), (1, 4)]
    assert recent.after(Position(1, 5), 9) == []


def test_bytes_are_bounded_and_the_newest_stays() -> None:
    recent = Recent(max_bytes=10)
    recent.add([entry(1, 1, 6), entry(1, 2, 6)])
    assert places(recent.after(Position(1, 1), 9)) == [(1, 2)]
    recent.add([entry(1, 3, 50)])
    assert not recent.covers(Position(1, 1))
    assert places(recent.after(Position(1, 2), 9)) == [(1, 3)]


def test_before_a_hole_nothing_is_covered() -> None:
    recent = Recent()
    recent.add([*entries(1, 1, 3), *entries(1, 5, 6)])
    assert not recent.covers(Position(1, 3))
    assert places(recent.after(Position(1, 4), 9)) == [(1, 5), (1, 6)]


def test_a_new_epoch_follows_the_old_one() -> None:
    recent = Recent()
    recent.add(entries(1, 1, 3))
    recent.add(entries(2, 1, 2))
    assert places(recent.after(Position(1, 2), 9)) == [(1, 3), (2, 1), (2, 2)]
    # From the first record of an epoch alone it cannot be told what the one before had.
    later = Recent()
    later.add(entries(2, 1, 2))
    assert not later.covers(Position(1, 3))
    assert later.covers(Position(2, 0))


@given(st.lists(st.integers(1, 9), max_size=30), st.integers(1, 20), st.integers(0, 200))
def test_what_is_covered_is_complete(batches: list[int], most: int, place: int) -> None:
    recent, head = Recent(most=most), 0
    for size in batches:
        recent.add(entries(1, head + 1, head + size))
        head += size
    if recent.covers(Position(1, place)):
        assert places(recent.after(Position(1, place), 1_000)) == [(1, seq) for seq in range(place + 1, head + 1)]
    else:
        assert place < head - most or not head


# --- one question for all --------------------------------------------------------------------------------------------


class Slow:
    """A database that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[Position] = []
        self.go = asyncio.Event()
        self.broken = False

    async def read(self, place: Position, limit: int) -> Sequence[Entry]:
        self.asked.append(place)
        await self.go.wait()
        if self.broken:
            raise StoreUnavailable("broken")
        return [entry(1, place.seq + 1)]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_same_question_is_asked_once() -> None:
    database = Slow()
    shared = SharedRead(database.read)
    asking = [asyncio.create_task(shared.after(Position(1, 5))) for _ in range(100)]
    await settle()
    database.go.set()
    found = await asyncio.gather(*asking)
    assert all(each is found[0] for each in found)
    assert database.asked == [Position(1, 5)]
    await shared.after(Position(1, 5))
    assert len(database.asked) == 2


async def test_few_questions_at_once() -> None:
    database = Slow()
    shared = SharedRead(database.read, at_once=2)
    asking = [asyncio.create_task(shared.after(Position(1, seq))) for seq in range(5)]
    await settle()
    assert len(database.asked) == 2
    database.go.set()
    await asyncio.gather(*asking)
    assert len(database.asked) == 5


async def test_whoever_asked_may_go_and_the_others_are_answered() -> None:
    database = Slow()
    shared = SharedRead(database.read)
    first = asyncio.create_task(shared.after(START))
    await settle()
    others = [asyncio.create_task(shared.after(START)) for _ in range(3)]
    await settle()
    first.cancel()
    others[0].cancel()
    await settle()
    database.go.set()
    assert places(await others[1]) == [(1, 1)]
    assert places(await others[2]) == [(1, 1)]
    assert first.cancelled()
    assert others[0].cancelled()
    assert len(database.asked) == 2


async def test_a_failure_is_everyones_and_is_not_kept() -> None:
    database = Slow()
    database.broken = True
    shared = SharedRead(database.read)
    asking = [asyncio.create_task(shared.after(START)) for _ in range(3)]
    await settle()
    database.go.set()
    for each in asking:
        with pytest.raises(StoreUnavailable):
            await each
    database.broken = False
    assert places(await shared.after(START)) == [(1, 1)]


# --- the bell --------------------------------------------------------------------------------------------------------


async def test_everyone_is_woken_in_slices_and_others_have_their_turn_between() -> None:
    bell, woken, turns = Bell(slice_=10), 0, []

    async def wait() -> None:
        nonlocal woken
        await bell.wait()
        woken += 1

    async def other() -> None:
        while woken < 100:
            turns.append(woken)
            await asyncio.sleep(0)

    waiting = [asyncio.create_task(wait()) for _ in range(100)]
    await settle()
    bell.ring()
    await asyncio.gather(*waiting, other())
    assert max(after - before for before, after in pairwise(turns)) <= 20


async def test_whoever_comes_after_the_ring_waits_for_the_next() -> None:
    bell = Bell(slice_=1)
    early = [asyncio.create_task(bell.wait()) for _ in range(3)]
    await settle()
    bell.ring()
    late = asyncio.create_task(bell.wait())
    await asyncio.gather(*early)
    await settle()
    assert not late.done()
    bell.ring()
    await late


async def test_whoever_gives_up_is_forgotten_also_while_it_rings() -> None:
    bell = Bell(slice_=1)
    waiting = [asyncio.create_task(bell.wait()) for _ in range(4)]
    await settle()
    waiting[0].cancel()
    await settle()
    assert len(bell._waiting) == 3
    bell.ring()
    waiting[3].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert [each.cancelled() for each in waiting] == [True, False, False, True]


# --- the channel -----------------------------------------------------------------------------------------------------


def seqs(found: Sequence[Entry]) -> list[int]:
    return [each.position.seq for each in found]


async def test_the_newest_from_memory_the_rest_from_the_database() -> None:
    database = Database(10)
    channel = Channel(database.read, Recent(most=4))
    channel.begin([record(seq) for seq in range(5, 11)], whole=False)
    page = await channel.after(Position(1, 6))
    assert (seqs(page.entries), page.complete, database.reads) == ([7, 8, 9, 10], True, 0)
    page = await channel.after(Position(1, 2), most=3)
    assert (seqs(page.entries), page.until, page.complete) == ([3, 4, 5], Position(1, 5), False)
    assert database.reads == 1
    assert (await channel.after(Position(1, 10))).entries == []
    assert (await channel.after(Position(3, 1))).complete
    assert database.reads == 1


async def test_a_small_feed_is_held_whole() -> None:
    database = Database(3)
    channel = Channel(database.read)
    channel.begin([record(seq) for seq in range(1, 4)], whole=True)
    assert seqs((await channel.after(START)).entries) == [1, 2, 3]
    assert database.reads == 0


async def test_an_answer_is_bounded_and_never_empty_for_that() -> None:
    channel = Channel(Database().read)
    channel.push([record(seq) for seq in range(1, 6)])
    page = await channel.after(START, max_bytes=12)
    assert (seqs(page.entries), page.complete) == ([1, 2], False)
    assert seqs((await channel.after(START, max_bytes=1)).entries) == [1]


async def test_a_heartbeat_is_shown_when_its_records_are_here() -> None:
    channel = Channel(Database().read)
    shown: list[Beat | None] = []
    channel.push_beat(beat(2))
    for seq in (1, 2):
        shown.append(channel.beat)
        channel.push([record(seq)])
    assert [*shown, channel.beat] == [None, None, beat(2)]
    frame = channel.beat_frame
    channel.push([record(3)])
    assert channel.beat_frame is frame
    channel.push_beat(beat(3))
    assert channel.beat_frame == beat_frame(beat(3))


async def test_the_same_heartbeat_again_is_no_news() -> None:
    channel = Channel(Database().read)
    channel.push([record(1)])
    channel.push_beat(beat(1))
    frame = channel.beat_frame
    waiting = asyncio.create_task(channel.news.wait())
    await asyncio.sleep(0)
    channel.push_beat(beat(1))
    assert channel.beat_frame is frame
    await asyncio.sleep(0)
    assert not waiting.done()
    channel.push_beat(beat(1)._replace(raw=b"a later one"))
    await asyncio.wait_for(waiting, 30)


async def test_it_begins_with_what_the_database_has(store: Store) -> None:
    await commit(store, *(f"t{number}" for number in range(600)))
    await new_sequencer(store).settle()
    log = FeedLog(store)
    records, whole = await log.newest(300, 10**9)
    assert (len(records), whole) == (512, False)
    assert [each.raw for each in records] == (await stored(store))[-512:]
    records, whole = await log.newest(10**6, 10**9)
    assert (len(records), whole) == (600, True)
    records, whole = await log.newest(10**6, 1)
    assert (len(records), whole) == (256, False)


async def test_a_reader_who_waits_hears_of_records_heartbeats_and_the_end() -> None:
    channel = Channel(Database().read)
    news: list[Callable[[], None]] = [
        lambda: channel.push([record(1)]),
        lambda: channel.push_beat(Beat(Head(Position(1, 1), bytes(32)), b"beat")),
        channel.close,
    ]
    for tell in news:
        waiting = asyncio.create_task(channel.news.wait())
        await settle()
        tell()
        await asyncio.wait_for(waiting, 10)
    assert channel.closed


async def test_old_records_are_encoded_once_for_all_who_ask_at_once() -> None:
    database = Database(50)
    channel = Channel(database.read)
    channel.begin([record(50)], whole=False)
    pages = await asyncio.gather(*(channel.after(Position(1, 10)) for _ in range(500)))
    assert database.reads == 1
    assert all(page.entries[0] is pages[0].entries[0] for page in pages)


def stored_record(position: Position) -> StoredRecord:
    return StoredRecord(position, bytes(32), b"raw", "t", 0.0)


async def test_a_new_epoch_is_read_on_from_the_old_one() -> None:
    channel = Channel(Database().read)
    channel.push([stored_record(Position(1, 1)), stored_record(Position(1, 2))])
    channel.push([stored_record(Position(2, 1))])
    page = await channel.after(Position(1, 1))
    assert [each.position for each in page.entries] == [Position(1, 2), Position(2, 1)]
