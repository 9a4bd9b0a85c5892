import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from ostraka_issuer.feed.delivery import Deliveries, TopicLost
from ostraka_issuer.feed.log import StoredRecord
from ostraka_issuer.feed.selfcheck import Landmark
from ostraka_schemas.records import Head, Position


def record(seq: int) -> StoredRecord:
    return StoredRecord(Position(1, seq), bytes([seq]) * 32, b"", f"t{seq}", 0.0)


def sent(offset: int | None = None) -> "asyncio.Future[Any]":
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    if offset is not None:
        future.set_result(SimpleNamespace(offset=offset))
    return future


async def settle(deliveries: Deliveries) -> None:
    async with asyncio.timeout(10):
        await deliveries.settle()


async def test_acknowledgements_are_told_in_feed_order() -> None:
    told: list[Position] = []
    deliveries = Deliveries(0, told.append)
    futures = [sent() for _ in range(3)]
    for seq, future in enumerate(futures, start=1):
        await deliveries.add(future, record(seq))
    task = asyncio.create_task(deliveries.settle())
    for offset in (2, 1, 0):
        await asyncio.sleep(0)
        assert told == []
        futures[offset].set_result(SimpleNamespace(offset=offset))
    while len(told) < 3:
        await asyncio.sleep(0)
    assert told == [Position(1, 1), Position(1, 2), Position(1, 3)]
    assert deliveries.landmark == Landmark(2, Head(Position(1, 3), record(3).hash))
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.parametrize("offsets", [[5, 5], [5, 6, 3], [4], [0], [5, -1, 4]])
async def test_an_offset_that_goes_back_is_a_lost_topic(offsets: list[int]) -> None:
    told: list[Position] = []
    deliveries = Deliveries(5, told.append)
    for seq, offset in enumerate(offsets, start=1):
        await deliveries.add(sent(offset), record(seq))
    with pytest.raises(TopicLost):
        await settle(deliveries)
    assert len(told) == len(offsets) - 1


async def test_a_heartbeat_that_goes_back_is_a_lost_topic_too() -> None:
    deliveries = Deliveries(7, lambda position: None)
    await deliveries.add(sent(0), None)
    with pytest.raises(TopicLost):
        await settle(deliveries)
    assert deliveries.landmark is None


async def test_gaps_and_unknown_offsets_are_no_loss() -> None:
    told: list[Position] = []
    deliveries = Deliveries(5, told.append)
    for seq, offset in enumerate([5, 9, -1, 10], start=1):
        await deliveries.add(sent(offset), record(seq))
    await deliveries.add(sent(), None)
    task = asyncio.create_task(deliveries.settle())
    async with asyncio.timeout(10):
        while len(told) < 4:
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})


async def test_a_refusal_is_raised_and_what_came_after_it_is_not_told() -> None:
    told: list[Position] = []
    deliveries = Deliveries(0, told.append)
    refused = sent()
    await deliveries.add(refused, record(1))
    await deliveries.add(sent(0), record(2))
    refused.set_exception(MessageSizeTooLargeError())
    with pytest.raises(MessageSizeTooLargeError):
        await settle(deliveries)
    assert told == []


async def test_an_acknowledgement_that_does_not_come_is_an_error() -> None:
    deliveries = Deliveries(0, lambda position: None, patience=0.02)
    future = sent()
    await deliveries.add(future, record(1))
    with pytest.raises(KafkaTimeoutError):
        await settle(deliveries)
    assert deliveries.waiting_since is not None
    assert not future.cancelled()


async def test_no_more_than_so_many_are_in_flight() -> None:
    deliveries = Deliveries(0, lambda position: None, most=2)
    for seq in (1, 2):
        await deliveries.add(sent(), record(seq))
    third = asyncio.create_task(deliveries.add(sent(), record(3)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not third.done()
    third.cancel()
    await asyncio.wait({third})
