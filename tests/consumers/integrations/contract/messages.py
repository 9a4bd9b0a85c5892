"""Consumers of messages: a message goes in as it lies on the topic, and is handled, copied away or taken again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import ConsumerRecord
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaRouter, TestKafkaBroker

from ostraka_consumers import TokenVerifier
from ostraka_consumers.integrations.aiokafka import secured
from ostraka_consumers.integrations.faststream import OstrakaMiddleware, current_grant

from .driver import Call, Driver, Headers, Parts, Said

WAITS = Said(code="waits")


def record(headers: Headers) -> "ConsumerRecord[bytes, bytes]":
    return ConsumerRecord(
        topic="orders",
        partition=0,
        offset=7,
        timestamp=0,
        timestamp_type=0,
        key=b"key",
        value=b'{"order": 1}',
        checksum=None,
        serialized_key_size=3,
        serialized_value_size=12,
        headers=tuple(headers),
    )


def refusal(topic: str, headers: Sequence[tuple[str, bytes | None]]) -> Said:
    """What a copy says of itself; its own headers hold the token, as they did where it came from."""
    assert topic == "orders.rejected"
    (name, reason), (_, at) = headers[-2:]
    assert (name, reason is None, at is None) == ("ostraka-reason", False, False)
    return Said(code=(reason or b"").decode())


class FakeConsumer:
    """Iterated as aiokafka's is; ``seek`` shows what is to be taken again."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[Any] = asyncio.Queue()
        self.said: asyncio.Queue[Said] = asyncio.Queue()

    def __aiter__(self) -> "FakeConsumer":
        return self

    async def __anext__(self) -> Any:
        return await self.waiting.get()

    def seek(self, partition: Any, offset: int) -> None:
        assert (partition.topic, partition.partition, offset) == ("orders", 0, 7)
        self.said.put_nowait(WAITS)


class FakeProducer:
    """Keeps what it is told to write."""

    def __init__(self, consumer: FakeConsumer) -> None:
        self.consumer = consumer

    async def send_and_wait(self, topic: str, *, value: Any, key: Any, headers: list[tuple[str, bytes | None]]) -> None:
        assert (key, value) == (b"key", b'{"order": 1}')
        self.consumer.said.put_nowait(refusal(topic, headers))


@asynccontextmanager
async def serve_aiokafka(verifier: TokenVerifier, parts: Parts) -> AsyncIterator[Call]:
    consumer: Any = FakeConsumer()
    producer: Any = FakeProducer(consumer)
    messages = secured(consumer, verifier, producer=producer, requires=parts, patience=0.0, jitter=lambda most: 0.0)

    async def handle() -> None:
        async for found, grant in messages:
            assert found.offset == 7
            consumer.said.put_nowait(Said(subject=grant.subject))

    async def call(headers: Headers) -> Said:
        consumer.waiting.put_nowait(record(headers))
        said: Said = await asyncio.wait_for(consumer.said.get(), 10)
        assert consumer.said.empty()
        return said

    handling = asyncio.create_task(handle())
    try:
        yield call
    finally:
        handling.cancel()
        await asyncio.gather(handling, return_exceptions=True)


@asynccontextmanager
async def serve_faststream(verifier: TokenVerifier, parts: Parts) -> AsyncIterator[Call]:
    broker = KafkaBroker()
    router = KafkaRouter(
        middlewares=[OstrakaMiddleware(verifier, require=parts, patience=0.0, jitter=lambda most: 0.0)]
    )
    said: list[Said] = []

    @router.subscriber("orders", group_id="orders", ack_policy=AckPolicy.ACK)
    async def take(order: dict[str, Any]) -> None:
        said.append(Said(subject=current_grant().subject))

    broker.include_router(router)
    rejected = broker.subscriber("orders.rejected")

    @rejected
    async def look(body: Any) -> None: ...

    async with TestKafkaBroker(broker):
        subscriber: Any = router.subscribers[0]

        async def call(headers: Headers) -> Said:
            said.clear()
            look.mock.reset_mock()
            await subscriber.process_message(record(headers))
            if said:
                return said[0]
            if not look.mock.called:
                return WAITS
            return Said(code=reasons.pop())

        reasons: list[str] = []
        real = broker.publish

        async def publish(*args: Any, headers: dict[str, str] | None = None, **options: Any) -> Any:
            reasons.append((headers or {})["ostraka-reason"])
            return await real(*args, headers=headers, **options)

        broker.publish = publish  # type: ignore[method-assign]
        yield call


MESSAGES = [
    Driver("aiokafka", serve_aiokafka, waits=True, other_scheme="malformed"),
    Driver("faststream", serve_faststream, waits=True, other_scheme="malformed"),
]
