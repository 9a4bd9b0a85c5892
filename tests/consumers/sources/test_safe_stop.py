"""Stopping Kafka clients whose broker is well, gone, frozen, or was never there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError, ProducerClosed

from ostraka_consumers.sources import _aiokafka
from ostraka_consumers.sources._aiokafka import forbid_topic_creation, safe_stop
from tests.consumers.sources.recording import PATIENCE, eventually
from tests.kafka.broker import Broker
from tests.kafka.fixtures import OwnKafka
from tests.kafka.topics import create_topic

TOPIC = TopicPartition("stop", 0)
NOBODY = "127.0.0.1:9"


@pytest.fixture
async def broker(own_kafka: OwnKafka) -> Broker:
    broker = await own_kafka()
    await create_topic(broker.bootstrap, TOPIC.topic)
    return broker


@contextlib.asynccontextmanager
async def no_task_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    await eventually(lambda: asyncio.all_tasks() <= before, lambda: str(asyncio.all_tasks() - before))


async def consumer_of(bootstrap: str) -> AIOKafkaConsumer:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="none", request_timeout_ms=3_000)
    await consumer.start()
    consumer.assign([TOPIC])
    consumer.seek(TOPIC, 0)
    await consumer.getmany(TOPIC, timeout_ms=100)
    return consumer


async def test_a_consumer_and_a_producer_of_a_broker_that_is_well(broker: Broker) -> None:
    async with no_task_left():
        consumer = await consumer_of(broker.bootstrap)
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
        await producer.start()
        await producer.send(TOPIC.topic, b"still on its way", partition=0)
        await safe_stop(producer)
        records = await consumer.getmany(TOPIC, timeout_ms=int(PATIENCE * 1000))
        await safe_stop(consumer)
        await safe_stop(consumer)
    assert [record.value for record in records[TOPIC]] == [b"still on its way"]


@pytest.mark.parametrize("fate", ["kill", "pause"])
async def test_a_consumer_whose_broker_is_gone(broker: Broker, fate: str) -> None:
    async with no_task_left():
        consumer = await consumer_of(broker.bootstrap)
        await getattr(broker, fate)()
        await consumer.getmany(TOPIC, timeout_ms=300)
        await safe_stop(consumer)


@pytest.mark.parametrize("fate", ["kill", "pause"])
async def test_a_producer_whose_broker_is_gone_fails_what_it_cannot_deliver(broker: Broker, fate: str) -> None:
    async with no_task_left():
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
        await producer.start()
        await producer.send_and_wait(TOPIC.topic, b"delivered", partition=0)
        await getattr(broker, fate)()
        undelivered = await _send_in_vain(producer)
        await safe_stop(producer, within=0.3)
        with pytest.raises(ProducerClosed):
            await asyncio.wait_for(undelivered, PATIENCE)


async def _send_in_vain(producer: AIOKafkaProducer) -> "asyncio.Future[object]":
    # A process that is being frozen may still answer the first one.
    while True:
        future: asyncio.Future[object] = await producer.send(TOPIC.topic, b"not delivered", partition=0)
        if not (await asyncio.wait({future}, timeout=0.1))[0]:
            return future


async def test_a_client_that_could_not_start() -> None:
    async with no_task_left():
        for client in (AIOKafkaConsumer(bootstrap_servers=NOBODY), AIOKafkaProducer(bootstrap_servers=NOBODY)):
            with pytest.raises(KafkaConnectionError):
                await client.start()
            await safe_stop(client)


async def test_the_callers_cancellation_is_kept_and_the_client_closed_all_the_same(broker: Broker) -> None:
    async with no_task_left():
        consumer = await consumer_of(broker.bootstrap)
        await broker.kill()
        stopping = asyncio.create_task(safe_stop(consumer))
        await asyncio.sleep(0)
        stopping.cancel()
        await asyncio.wait({stopping})
        assert stopping.cancelled()


async def test_a_finally_of_a_cancelled_task(broker: Broker) -> None:
    reading = asyncio.Event()

    async def follow() -> None:
        consumer = await consumer_of(broker.bootstrap)
        try:
            reading.set()
            while True:
                await consumer.getmany(TOPIC, timeout_ms=50)
        finally:
            await safe_stop(consumer)

    async with no_task_left():
        task = asyncio.create_task(follow())
        await reading.wait()
        await broker.kill()
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()


async def test_a_producer_does_not_create_a_topic(kafka: Broker, topic_prefix: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, request_timeout_ms=500)
    forbid_topic_creation(producer)
    try:
        await producer.start()
        with contextlib.suppress(Exception):
            await producer.send(f"{topic_prefix}.nowhere", b"x")
        everything = await producer.client.fetch_all_metadata()
    finally:
        await safe_stop(producer)
    assert f"{topic_prefix}.nowhere" not in everything.topics()


class SlowToStart:
    """A client whose start takes until it is let go on; cut short, it would leave a connection behind."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.ended = "not"

    async def start(self) -> None:
        try:
            await self.go_on.wait()
            self.ended = "started"
        except asyncio.CancelledError:
            self.ended = "cut short"
            raise


async def test_a_start_that_is_cancelled_ends_first() -> None:
    client = SlowToStart()
    caller = asyncio.create_task(_aiokafka.safe_start(client))
    await asyncio.sleep(0)
    caller.cancel()
    asyncio.get_running_loop().call_later(0.05, client.go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert client.ended == "started"


async def test_a_start_that_does_not_end_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_aiokafka, "START_SECONDS", 0.01)
    client = SlowToStart()
    caller = asyncio.create_task(_aiokafka.safe_start(client))
    await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert client.ended == "cut short"
