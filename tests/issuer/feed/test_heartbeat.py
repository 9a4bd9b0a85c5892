import asyncio

import pytest

from ostraka_consumers.clock import Instant, ManualClock
from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.feed.follower import Beat
from ostraka_issuer.feed.heartbeat import Heart
from ostraka_issuer.feed.log import FeedLog
from ostraka_issuer.feed.regime import Regime
from ostraka_issuer.feed.sequencer import Sequencer
from ostraka_issuer.store import Store
from ostraka_schemas.records import Head, Heartbeat, Position, record_hash
from tests.issuer.feed.world import ISSUER, KEY, commit, new_sequencer, read, stored, until

REGIME = Regime(1, KEY)


class TracedClock(ManualClock):
    def __init__(self, trace: list[str]) -> None:
        super().__init__(wall=1_800_000_000.75)
        self._trace = trace

    def now(self) -> Instant:
        self._trace.append("clock")
        return super().now()


class TracedLog(FeedLog):
    def __init__(self, store: Store, trace: list[str]) -> None:
        super().__init__(store)
        self._trace = trace

    async def head(self) -> Head | None:
        self._trace.append("head")
        return await super().head()


class InterruptedSequencer:
    """Lets something happen between the heartbeat's look at the clock and its look at the head."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self._store = store
        self._clock = clock
        self._real = new_sequencer(store)

    async def settle(self) -> None:
        self._clock.advance(2)
        await commit(self._store, "in between")
        await self._real.settle()


def new_heart(
    store: Store,
    *,
    sequencer: Sequencer | None = None,
    log: FeedLog | None = None,
    clock: ManualClock | None = None,
    beats: list[Beat] | None = None,
    interval: float = 5,
) -> Heart:
    beats = beats if beats is not None else []
    return Heart(
        sequencer or new_sequencer(store),
        log or FeedLog(store),
        lambda: REGIME,
        issuer=ISSUER,
        clock=clock or ManualClock(),
        interval=interval,
        beaten=beats.append,
    )


async def test_there_is_nothing_to_vouch_for_before_the_first_record(store: Store) -> None:
    assert await new_heart(store).make() is None


async def test_it_names_the_committed_head_and_reads_the_clock_first(store: Store) -> None:
    await commit(store, "a", "b")
    await new_sequencer(store).settle()
    trace: list[str] = []
    beat = await new_heart(store, log=TracedLog(store, trace), clock=TracedClock(trace)).make()

    assert beat is not None
    heartbeat = read(beat.raw)
    assert isinstance(heartbeat, Heartbeat)
    assert heartbeat.iss == ISSUER
    assert heartbeat.iat == 1_800_000_000
    assert heartbeat.head == beat.head == Head(Position(1, 2), record_hash((await stored(store))[-1]))
    assert trace == ["clock", "head"]


async def test_what_is_committed_but_has_no_place_yet_gets_one_first(store: Store) -> None:
    await commit(store, *(f"t{number}" for number in range(10)))
    beat = await new_heart(store, sequencer=new_sequencer(store, batch=3)).make()

    assert beat is not None
    assert beat.head.position == Position(1, 10)


async def test_a_revocation_between_clock_and_head_is_vouched_for_with_the_older_time(store: Store) -> None:
    await commit(store, "a")
    clock = ManualClock()
    before = int(clock.now().wall)
    beat = await new_heart(store, sequencer=InterruptedSequencer(store, clock), clock=clock).make()  # type: ignore[arg-type]

    assert beat is not None
    heartbeat = read(beat.raw)
    assert isinstance(heartbeat, Heartbeat)
    assert heartbeat.iat == before
    assert heartbeat.head.position == Position(1, 2)


async def test_no_heartbeat_while_the_database_does_not_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await commit(store, "a")
    beats: list[Beat] = []
    sequencer = new_sequencer(store)
    real, tries = sequencer.settle, 0

    async def settle() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StoreUnavailable("away")
        await real()

    monkeypatch.setattr(sequencer, "settle", settle)
    heart = new_heart(store, sequencer=sequencer, beats=beats, interval=0.01)
    task = asyncio.create_task(heart.run())
    await until(lambda: heart.trouble == "away")
    assert beats == []
    await until(lambda: beats)
    assert tries >= 3
    await until(lambda: heart.trouble is None)
    task.cancel()
    await asyncio.wait({task})


async def test_it_beats_at_once_when_asked(store: Store) -> None:
    await commit(store, "a")
    beats: list[Beat] = []
    clock = ManualClock()
    heart = new_heart(store, beats=beats, clock=clock, interval=3_600)
    task = asyncio.create_task(heart.run())
    await until(lambda: len(beats) == 1)
    clock.advance(1)
    heart.beat_now()
    await until(lambda: len(beats) == 2)
    assert len({beat.raw for beat in beats}) == 2
    task.cancel()
    await asyncio.wait({task})
