import asyncio
import gc
from typing import cast

import pytest

from ostraka_consumers.limits import CHANGES_QUEUE_MAX
from ostraka_consumers.watchers import Missed, Watchers
from ostraka_schemas.records import Position, Record


def records(*numbers: int) -> list[Record]:
    """Nothing in here looks into a record."""
    return [cast("Record", number) for number in numbers]


async def test_everyone_gets_every_record_from_when_they_asked() -> None:
    watchers = Watchers()
    watchers.publish(records(0), None)
    first = watchers.changes()
    watchers.publish(records(1, 2), None)
    second = watchers.changes()
    watchers.publish(records(3), None)
    assert [await anext(first) for _ in range(3)] == records(1, 2, 3)
    assert await anext(second) == cast("Record", 3)


async def test_a_reader_waits_for_what_is_not_there_yet() -> None:
    watchers = Watchers()
    changes = watchers.changes()
    reading = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)
    assert not reading.done()
    watchers.publish(records(7), None)
    assert await reading == cast("Record", 7)


async def test_whoever_is_too_slow_gets_what_was_kept_and_is_then_told() -> None:
    watchers = Watchers()
    slow, fast = watchers.changes(), watchers.changes()
    for number in range(CHANGES_QUEUE_MAX + 2):
        watchers.publish(records(number), None)
        assert await anext(fast) == cast("Record", number)
    assert [await anext(slow) for _ in range(CHANGES_QUEUE_MAX)] == records(*range(CHANGES_QUEUE_MAX))
    with pytest.raises(Missed):
        await anext(slow)


async def test_a_reader_that_goes_away_is_forgotten_even_if_it_never_read() -> None:
    watchers = Watchers()
    never, once = watchers.changes(), watchers.changes()
    watchers.publish(records(1), None)
    await anext(once)
    assert len(watchers._queues) == 2
    await once.aclose()  # type: ignore[attr-defined]
    del never, once
    gc.collect()
    assert len(watchers._queues) == 0


async def test_who_waits_for_a_position_is_woken_at_it_or_beyond() -> None:
    watchers = Watchers()
    waiting = [asyncio.create_task(watchers.wait_for(Position(1, seq), 60)) for seq in (1, 2, 5)]
    await asyncio.sleep(0)
    watchers.publish(records(1), None)
    watchers.publish(records(1), Position(1, 2))
    assert await asyncio.gather(*waiting[:2]) == [True, True]
    assert not waiting[2].done()
    watchers.publish(records(1), Position(2, 1))
    assert await waiting[2]
    assert watchers._waiting == []


async def test_who_waits_in_vain_is_told_and_forgotten() -> None:
    watchers = Watchers()
    for timeout in (0, -1, 0.001):
        assert not await watchers.wait_for(Position(1, 1), timeout)
    assert watchers._waiting == []
