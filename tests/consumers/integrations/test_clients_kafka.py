"""aiokafka and confluent-kafka on a broker: what passes, and what a refused message looks like where it went."""

import asyncio
import contextlib
import hashlib
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer
from confluent_kafka import TopicPartition as ConfluentPartition

from ostraka_consumers.integrations import aiokafka, confluent
from ostraka_consumers.sources._aiokafka import safe_stop
from tests.consumers.sources.recording import eventually
from tests.kafka.broker import Broker
from tests.kafka.fixtures import FreshTopic
from tests.kafka.topics import create_topic
from tests.support.batches import bad_header_batch, produce_batch
from tests.support.fake_issuer import FakeIssuer
from tests.support.verifiers import ready_verifier

from .contract.threaded import in_a_thread

SMALL: Final = 64 * 1024
"""The largest request of the producers that write copies."""

WARM: Final = 20
"""After so many calls the interpreter has specialized them all."""

Handled = list[tuple[bytes | None, str]]


@contextlib.asynccontextmanager
async def with_aiokafka(kafka: Broker, topic: str, issuer: FakeIssuer, handled: Handled) -> AsyncIterator[Any]:
    verifier = await ready_verifier(issuer)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False, fetch_max_wait_ms=50
    )
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all", max_request_size=SMALL)
    await consumer.start()
    await producer.start()
    consumer.assign([TopicPartition(topic, 0)])

    async def serve() -> None:
        async for record, grant in aiokafka.secured(consumer, verifier, producer=producer, requires="orders:create"):
            handled.append((record.value, grant.subject))

    serving = asyncio.create_task(serve())
    try:
        yield verifier
    finally:
        await safe_stop(consumer)  # which ends the iteration
        await asyncio.wait_for(serving, 30)
        await safe_stop(producer)
        await verifier.stop()


@contextlib.asynccontextmanager
async def with_confluent(kafka: Broker, topic: str, issuer: FakeIssuer, handled: Handled) -> AsyncIterator[Any]:
    stop = threading.Event()

    def serve(verifier: Any) -> None:
        common = {"bootstrap.servers": kafka.bootstrap}
        consumer = Consumer({**common, "group.id": topic, "enable.auto.commit": False, "fetch.wait.max.ms": 50})
        producer = Producer({**common, "linger.ms": 0, "message.max.bytes": SMALL})
        consumer.assign([ConfluentPartition(topic, 0, OFFSET_BEGINNING)])
        messages = confluent.secured(consumer, verifier, producer=producer, requires="orders:create", stop=stop)
        for message, grant in messages:
            handled.append((message.value(), grant.subject))
        consumer.close()

    async with in_a_thread(issuer) as verifier:
        serving = asyncio.create_task(asyncio.to_thread(serve, verifier))
        try:
            yield verifier
        finally:
            stop.set()
            await asyncio.wait_for(serving, 60)


SERVICES: dict[str, Callable[..., Any]] = {"aiokafka": with_aiokafka, "confluent": with_confluent}


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return SERVICES[request.param]


@pytest.fixture
async def topic(kafka: Broker, fresh_topic: FreshTopic) -> str:
    topic = await fresh_topic("orders")
    await create_topic(kafka.bootstrap, f"{topic}.rejected", partitions=1)
    return topic


@contextlib.asynccontextmanager
async def sender(kafka: Broker) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, compression_type="gzip", max_request_size=16 * SMALL)
    await producer.start()
    try:
        yield producer
    finally:
        await safe_stop(producer)


async def rejected(kafka: Broker, topic: str, count: int) -> "list[ConsumerRecord[Any, Any]]":
    """The first ``count`` messages that went there."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False, fetch_max_wait_ms=50
    )
    await consumer.start()
    found: list[ConsumerRecord[Any, Any]] = []
    try:
        consumer.assign([TopicPartition(f"{topic}.rejected", 0)])
        async with asyncio.timeout(30):
            while len(found) < count:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
    finally:
        await safe_stop(consumer)
    return found


async def test_what_passes_and_what_is_copied_byte_for_byte(
    kafka: Broker, topic: str, service: Callable[..., Any]
) -> None:
    issuer, handled = FakeIssuer(), Handled()
    token = f"Bearer {issuer.token()}".encode()
    odd: list[tuple[str, bytes]] = [
        ("x", b"\xff\x00"),
        ("x", b""),
        ("reply_to", b"elsewhere"),
        ("authorization", b"no"),
    ]
    async with service(kafka, topic, issuer, handled) as verifier, sender(kafka) as producer:
        await producer.send_and_wait(topic, b"\x00\xffgood", key=b"k", headers=[("authorization", token)])
        await eventually(lambda: handled == [(b"\x00\xffgood", "alice")])
        await producer.send_and_wait(topic, b"\x00\xffbad", key=b"\xfe", headers=odd)
        await producer.send_and_wait(topic, b"no key", headers=odd)
        await producer.send_and_wait(topic, None, key=b"no value", headers=odd)
        copies = await rejected(kafka, topic, 3)
        verifier.deliver(issuer.cut_subject("alice"))
        await producer.send_and_wait(topic, b"late", headers=[("authorization", token)])
        late = (await rejected(kafka, topic, 4))[3]
    assert [(copy.key, copy.value) for copy in copies] == [
        (b"\xfe", b"\x00\xffbad"),
        (None, b"no key"),
        (b"no value", None),
    ]
    for copy in copies:
        assert list(copy.headers[:4]) == odd
        assert copy.headers[4] == ("ostraka-reason", b"malformed")
        assert float(copy.headers[5][1]) == issuer.clock.now().wall
    assert ("ostraka-reason", b"revoked") in late.headers
    assert len(handled) == 1


async def test_what_is_too_large_for_a_copy_leaves_a_stub(
    kafka: Broker, topic: str, service: Callable[..., Any]
) -> None:
    issuer, handled = FakeIssuer(), Handled()
    value, token = b"a" * (4 * SMALL), f"Bearer {issuer.token()}".encode()
    async with service(kafka, topic, issuer, handled), sender(kafka) as producer:
        await producer.send_and_wait(topic, value, key=b"k", headers=[("x", b"1")])
        await producer.send_and_wait(topic, value, key=b"k" * 2 * SMALL)
        await producer.send_and_wait(topic, b"next", headers=[("authorization", token)])
        await eventually(lambda: handled == [(b"next", "alice")])
        with_key, without = await rejected(kafka, topic, 2)
    assert (with_key.key, with_key.headers[0]) == (b"k", ("x", b"1"))
    assert without.key is None
    for offset, stub in enumerate((with_key, without)):
        assert not stub.value
        found = dict(stub.headers)
        assert found["ostraka-original"] == f"{topic}/0/{offset}".encode()
        assert found["ostraka-sha256"] == hashlib.sha256(value).hexdigest().encode()
        assert found["ostraka-reason"] == b"no_token"


async def test_a_header_whose_name_is_no_text_stops_nobody_in_confluent(kafka: Broker, topic: str) -> None:
    issuer, handled = FakeIssuer(), Handled()
    token = f"Bearer {issuer.token()}".encode()
    async with with_confluent(kafka, topic, issuer, handled), sender(kafka) as producer:
        for _ in range(WARM):
            await produce_batch(kafka.bootstrap, topic, bad_header_batch(1))
        await producer.send_and_wait(topic, b"next", headers=[("authorization", token)])
        await eventually(lambda: handled == [(b"next", "alice")])
        copies = await rejected(kafka, topic, WARM)
    for offset, copy in enumerate(copies):
        found = dict(copy.headers)
        assert (copy.value, found["ostraka-reason"]) == (b"z", b"malformed")
        assert found["ostraka-original"] == f"{topic}/0/{offset}".encode()
