"""The feed without a broker: the api and the issuer's own verifier work all the same."""

import asyncio

import pytest
from sqlalchemy import update

from ostraka_consumers.clock import ManualClock, SystemClock
from ostraka_issuer.errors import FeedAheadError, FeedDown, IntentSetAside
from ostraka_issuer.feed import FeedRole
from ostraka_issuer.feed.log import FeedLog
from ostraka_issuer.feed.marks import Marks
from ostraka_issuer.feed.sequencer import Sequencer
from ostraka_issuer.store import Store
from ostraka_issuer.store.tables import INTENTS
from ostraka_schemas.records import Heartbeat, Position, record_hash
from tests.issuer.feed.test_local import Sink
from tests.issuer.feed.world import (
    KEY,
    check_chain,
    commit,
    new_sequencer,
    read,
    settings_for,
    stored,
    until,
    writer_of,
)

NOBODY = settings_for(None, "feed")


async def test_places_are_told_while_the_broker_is_away(store: Store) -> None:
    await commit(store, "before")
    async with FeedRole(store, KEY, NOBODY) as role:
        await commit(store, "a")
        role.wake()
        assert await role.position_of("a", 30) == Position(1, 2)
        assert await role.position_of("before", 30) == Position(1, 1)
        assert await role.position_of("never", 0.01) is None
        head = role.head()
        assert head is not None
        assert head.position == Position(1, 2)
        assert head.hash == record_hash((await stored(store))[-1])
    check_chain(await stored(store))


async def test_a_lost_wake_up_is_made_good(store: Store) -> None:
    async with FeedRole(store, KEY, NOBODY) as role:
        await commit(store, "a")
        assert await role.position_of("a", 30) == Position(1, 1)


async def test_the_state_says_what_waits_and_why(store: Store) -> None:
    clock = ManualClock()
    async with FeedRole(store, KEY, NOBODY, clock=clock) as role:
        await commit(store, "a", "b")
        role.wake()
        await role.position_of("b", 30)
        clock.advance(12)
        await until(lambda: writer_of(role).publisher.doing.startswith("waiting: "))
        state = await role.state()
        assert state.running
        assert not state.connected
        assert "waiting: no broker answers" in state.publishing
        assert (state.unpublished, state.oldest_unpublished) == (2, 12.0)
        assert state.head == role.head()
        assert state.alarms == ()
    state = await role.state()
    assert not state.running
    assert state.publishing == "ended"


async def test_a_change_that_cannot_be_published_is_an_error_and_an_alarm(store: Store) -> None:
    await commit(store, "bad")
    async with store.write() as tx:
        await tx.execute(update(INTENTS).values(event={}))
    async with FeedRole(store, KEY, NOBODY) as role:
        with pytest.raises(IntentSetAside):
            await role.position_of("bad", 30)
        await commit(store, "good")
        role.wake()
        assert await role.position_of("good", 30) == Position(1, 1)
        state = await role.state()
        assert state.set_aside == 1
        assert any("cannot be put into the feed" in alarm for alarm in state.alarms)


async def test_its_own_verifier_hears_records_and_heartbeats_at_once(store: Store) -> None:
    await commit(store, "a")
    async with FeedRole(store, KEY, NOBODY.model_copy(update={"heartbeat_interval": 60})) as role:
        sink = Sink()
        task = asyncio.create_task(role.source.run(sink))
        await until(lambda: any(isinstance(read(raw), Heartbeat) for raw in sink.delivered))
        await commit(store, "b")
        role.wake()
        await until(lambda: len([raw for raw in sink.delivered if not isinstance(read(raw), Heartbeat)]) == 2)
        task.cancel()
        await asyncio.wait({task})
    assert not role._view.nearby._open


async def test_starting_does_not_wait_for_the_broker_and_stopping_leaves_nothing(store: Store) -> None:
    before = asyncio.all_tasks()
    role = FeedRole(store, KEY, NOBODY)
    await role.start()
    await commit(store, "a")
    role.wake()
    await role.position_of("a", 30)
    await role.stop()
    await until(lambda: asyncio.all_tasks() == before, "the end of every task")
    await role.stop()
    with pytest.raises(FeedDown):
        await role.position_of("a", 1)
    await role.wait()


async def test_whoever_waits_when_it_stops_is_told(store: Store) -> None:
    role = FeedRole(store, KEY, NOBODY)
    await role.start()
    waiting = asyncio.create_task(role.position_of("never", 60))
    await until(lambda: "never" in role._view.places._waiting)
    await role.stop()
    with pytest.raises(FeedDown):
        await waiting


async def test_it_refuses_a_database_of_a_later_epoch(store: Store) -> None:
    await commit(store, "a")
    await new_sequencer(store, epoch=2).settle()
    with pytest.raises(FeedAheadError, match="2:1"):
        await FeedRole(store, KEY, NOBODY).start()
    async with FeedRole(store, KEY, NOBODY, epoch=2) as role:
        assert await role.position_of("a", 1) == Position(2, 1)


async def test_an_error_in_one_task_ends_all_loudly(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = asyncio.all_tasks()
    role = FeedRole(store, KEY, NOBODY)

    async def broken(_self: Sequencer) -> int:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Sequencer, "_step", broken)
    await role.start()
    with pytest.raises(FeedDown, match="a bug"):
        async with asyncio.timeout(30):
            await role.wait()
    with pytest.raises(FeedDown, match="a bug"):
        await role.position_of("a", 1)
    state = await role.state()
    assert not state.running
    assert any("a bug" in alarm for alarm in state.alarms)
    await role.stop()
    await until(lambda: asyncio.all_tasks() == before, "the end of every task")


async def test_waiting_for_what_was_not_started_is_an_error(store: Store) -> None:
    role = FeedRole(store, KEY, NOBODY)
    with pytest.raises(FeedDown, match="not started"):
        await role.wait()
    assert (await role.state()).alarms == ("the feed was not started",)
    await role.stop()


async def test_marks_survive_a_restart(store: Store) -> None:
    await commit(store, "a", "b", "c")
    await new_sequencer(store).settle()
    log = FeedLog(store)
    await log.mark_published(None, Position(1, 2), 1.0)
    assert await log.published() == Position(1, 2)
    async with FeedRole(store, KEY, NOBODY) as role:
        assert (await role.state()).unpublished == 1
    await log.mark_unpublished(Position(1, 1))
    assert await log.published() == Position(1, 1)
    await log.mark_unpublished(None)
    assert await log.published() is None


async def test_whether_the_broker_has_it_is_told_without_waiting_while_none_is_there(
    store: Store,
) -> None:
    async with FeedRole(store, KEY, NOBODY) as role:
        await commit(store, "a")
        role.wake()
        place = await role.position_of("a", 5)
        assert place is not None
        assert not await role.is_published(place)


async def test_marks_tell_those_who_wait_and_forget_those_who_do_not(store: Store) -> None:
    marks = Marks(FeedLog(store), SystemClock())
    waiting = asyncio.create_task(marks.reached(Position(1, 2), 5))
    assert not await marks.reached(Position(1, 2), 0)
    marks.note(Position(1, 1))
    assert not waiting.done()
    marks.note(Position(1, 3))
    assert await waiting
    assert await marks.reached(Position(1, 3), 0)
    assert not await marks.reached(Position(1, 4), 0.01)
    assert marks._waiting == []
