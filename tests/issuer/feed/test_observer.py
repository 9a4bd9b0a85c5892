"""Several processes on one database: one writes the feed, the others show it, and one of them takes over."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from ostraka_consumers.clock import ManualClock, SystemClock
from ostraka_consumers.limits import FRESH_FOR
from ostraka_issuer.errors import FeedDown
from ostraka_issuer.feed import FeedRole
from ostraka_issuer.feed.follower import Beat
from ostraka_issuer.feed.log import FeedLog
from ostraka_issuer.feed.observer import read_stored_beat
from ostraka_issuer.feed.rows import read_beat, write_beat
from ostraka_issuer.store import Store
from ostraka_issuer.store.intents import add_intent
from ostraka_issuer.store.tables import FEED_LEASE
from ostraka_schemas.events import PermissionRevoked
from ostraka_schemas.records import Heartbeat, Position
from ostraka_schemas.subjects import Uri
from tests.issuer.feed.test_local import Sink
from tests.issuer.feed.world import ISSUER, KEY, check_chain, read, settings_for, stored, until, writer_of
from tests.postgres.fixtures import AnotherStore

NOBODY = settings_for(None, "feed", heartbeat_interval=1)
NewRole = Callable[..., FeedRole]


@pytest_asyncio.fixture
async def new_role(another_store: AnotherStore) -> AsyncIterator[NewRole]:
    """Makes the feed of one more process; all are stopped at the end."""
    roles: list[FeedRole] = []

    def make(*, writes: bool = True) -> FeedRole:
        roles.append(FeedRole(another_store(), KEY if writes else None, NOBODY))
        return roles[-1]

    yield make
    for role in roles:
        await role.stop()


async def announce(role: FeedRole, txn: str) -> None:
    """Commit an intent in this role's process, as a revocation does."""
    async with role._store.announce() as tx:
        event = PermissionRevoked(permission="orders:create")
        await add_intent(tx, txn=txn, subject=Uri(uri=ISSUER), event=event, now=1_800_000_000.0)


async def lose_lease(store: Store) -> None:
    """As if the process had been stopped for longer than its lease."""
    async with store.write() as tx:
        await tx.execute(update(FEED_LEASE).values(until=1.0))


async def test_one_of_two_writes_and_both_show_it(store: Store, new_role: NewRole) -> None:
    first, second = new_role(), new_role()
    await first.start()
    await second.start()
    assert (first.writer is not None, second.writer is not None) == (True, False)
    await announce(first, "a")
    await announce(second, "b")
    for role in (first, second):
        assert await role.position_of("a", 30) == Position(1, 1)
        assert await role.position_of("b", 30) == Position(1, 2)
        await until(lambda role=role: role.channel.beat and role.channel.beat.head.position == Position(1, 2))
    assert first.channel.beat == second.channel.beat
    assert first.head() == second.head()
    check_chain(await stored(store))


async def test_a_verifier_hears_all_of_it_where_the_feed_is_not_written(store: Store, new_role: NewRole) -> None:
    writer, reader = new_role(), new_role(writes=False)
    await writer.start()
    await announce(writer, "before")
    await reader.start()
    sink = Sink()
    following = asyncio.create_task(reader.source.run(sink))
    await announce(reader, "after")
    raws = await until(lambda: _when_all_stored(store, 2))
    await until(lambda: [raw for raw in sink.delivered if not isinstance(read(raw), Heartbeat)] == raws)
    await until(lambda: any(isinstance(read(raw), Heartbeat) for raw in sink.delivered), "a heartbeat")
    following.cancel()
    await asyncio.wait({following})


async def _when_all_stored(store: Store, count: int) -> list[bytes]:
    raws = await stored(store)
    return raws if len(raws) == count else []


async def test_a_process_without_the_key_never_writes(store: Store, new_role: NewRole) -> None:
    reader = new_role(writes=False)
    await reader.start()
    await announce(reader, "a")
    assert await reader.position_of("a", 0.2) is None
    state = await reader.state()
    assert (state.running, state.writing, state.lease.holder, state.alarms) == (True, False, None, ())
    writer = new_role()
    await writer.start()
    assert await reader.position_of("a", 30) == Position(1, 1)
    state = await reader.state()
    assert state.lease == (await writer.state()).lease
    assert state.lease.holder is not None


async def test_after_a_clean_stop_another_takes_over_at_once(store: Store, new_role: NewRole) -> None:
    first, second = new_role(), new_role()
    await first.start()
    await second.start()
    await announce(second, "a")
    await first.stop()
    await until(lambda: second.writer, "another writer")
    await announce(second, "b")
    assert await second.position_of("b", 30) == Position(1, 2)
    check_chain(await stored(store))
    with pytest.raises(FeedDown):
        await first.position_of("b", 1)


async def test_who_has_lost_the_lease_writes_nothing_and_stands_by(
    store: Store, new_role: NewRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = new_role(), new_role()
    monkeypatch.setattr("ostraka_issuer.feed.tenure.LEASE_RENEW", 60.0)
    await first.start()
    old = writer_of(first)
    await announce(first, "a")
    assert await first.position_of("a", 30) == Position(1, 1)
    # The first one sleeps by now, for longer than its lease.
    monkeypatch.undo()
    await second.start()
    await lose_lease(store)
    await until(lambda: second.writer, "another writer")
    await announce(first, "b")  # Joined or not, it must be the other one that places it.
    for role in (first, second):
        assert await role.position_of("b", 30) == Position(1, 2)
    await until(lambda: first.writer is None, "the first one to stand by")
    assert first._task is not None
    assert not first._task.done()
    await announce(first, "c")
    assert await first.position_of("c", 30) == Position(1, 3)
    await old.close()
    check_chain(await stored(store))

    await second.stop()
    await until(lambda: first.writer, "the first one to write again")
    assert writer_of(first) is not old
    await announce(first, "d")
    assert await first.position_of("d", 30) == Position(1, 4)
    check_chain(await stored(store))


async def test_it_is_told_what_is_published_by_the_marks(store: Store, new_role: NewRole) -> None:
    writer, reader = new_role(), new_role(writes=False)
    await writer.start()
    await reader.start()
    await announce(reader, "a")
    place = await reader.position_of("a", 30)
    assert place is not None
    asking = asyncio.create_task(reader.is_published(place))
    await FeedLog(store).mark_published(None, place, 1.0)
    assert await asking
    await announce(reader, "b")
    place = await reader.position_of("b", 30)
    assert place is not None
    assert not await reader.is_published(place)


async def test_a_stored_heartbeat_that_is_damaged_is_passed_over(
    store: Store, new_role: NewRole, caplog: pytest.LogCaptureFixture
) -> None:
    reader = new_role(writes=False)

    def damage(connection: Any) -> None:
        write_beat(connection, b"not.a.heartbeat")

    await store.work(damage)
    await reader.start()
    await until(lambda: "damaged" in caplog.text)
    assert reader.channel.beat is None
    writer = new_role()
    await writer.start()
    await announce(writer, "a")
    beat: Beat = await until(lambda: reader.channel.beat, "a heartbeat")
    found = read_stored_beat(beat.raw)
    assert found is not None
    assert found.head == beat.head


async def test_a_heartbeat_that_makes_nobody_fresh_is_passed_over(
    store: Store, new_role: NewRole, another_store: AnotherStore
) -> None:
    first = new_role()
    await first.start()
    await announce(first, "a")
    await until(lambda: _has_beat(store))
    await first.stop()
    clock = SystemClock()
    late = ManualClock(wall=clock.now().wall + FRESH_FOR + 1)
    reader = FeedRole(another_store(), None, NOBODY, clock=late)
    async with reader:
        assert await reader.position_of("a", 30) == Position(1, 1)
        await until(lambda: reader._observer._told is not None)
        assert reader.channel.beat is None


async def _has_beat(store: Store) -> bool:
    return await store.work(read_beat) is not None


async def test_leases_are_not_shared_by_names(store: Store, new_role: NewRole) -> None:
    names = {new_role()._tenure.holder for _ in range(20)}
    assert len(names) == 20
    async with store.read() as tx:
        assert (await tx.execute(select(FEED_LEASE))).all() == []
