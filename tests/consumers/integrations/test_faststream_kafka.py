"""FastStream on Apache Kafka: what happens to messages that are refused, put off or hostile, and to their offsets."""

import asyncio
import contextlib
import hashlib
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from ostraka_consumers import Verifier
from ostraka_consumers.integrations.faststream import OstrakaMiddleware, current_grant
from ostraka_consumers.sources._aiokafka import safe_stop
from tests.consumers.sources.recording import eventually
from tests.kafka.broker import Broker
from tests.kafka.fixtures import FreshTopic
from tests.kafka.topics import create_topic
from tests.support.batches import bad_header_batch, null_batch, produce_batch, zstd_batch
from tests.support.fake_issuer import FakeIssuer
from tests.support.verifiers import ready_verifier

pytestmark = pytest.mark.true_kafka

Headers = Sequence[tuple[str, bytes | None]]
MEGABYTE = 1024 * 1024
EVERY_POLICY = [
    AckPolicy.ACK,
    AckPolicy.NACK_ON_ERROR,
    AckPolicy.REJECT_ON_ERROR,
    AckPolicy.MANUAL,
    AckPolicy.ACK_FIRST,
]


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
async def verifier(issuer: FakeIssuer) -> AsyncIterator[Verifier]:
    verifier = await ready_verifier(issuer)
    yield verifier
    await verifier.stop()


class World:
    """A topic, the service that reads it, and what the service did."""

    def __init__(self, kafka: Broker, topic: str, verifier: Verifier) -> None:
        self.kafka = kafka
        self.topic = topic
        self.verifier = verifier
        self.handled: list[tuple[Any, str]] = []

    @contextlib.asynccontextmanager
    async def service(
        self, policy: AckPolicy = AckPolicy.ACK, *, patience: float = 30.0, batch: bool = False, **options: Any
    ) -> AsyncIterator[KafkaBroker]:
        guard = OstrakaMiddleware(self.verifier, patience=patience, jitter=lambda most: 0.0)
        broker = KafkaBroker(
            self.kafka.bootstrap,
            middlewares=[guard],
            acks="all",
            allow_auto_create_topics=False,
            request_timeout_ms=1_000,
            **{"logger": None, **options},
        )
        subscriber: Any = broker.subscriber(
            self.topic, group_id=self.topic, auto_offset_reset="earliest", ack_policy=policy, batch=batch
        )

        async def take_batch(orders: list[Any]) -> None:
            self.handled.append((orders, "batch"))

        async def take(order: Any, message: KafkaMessage) -> str:
            self.handled.append((order, current_grant().subject))
            if policy is AckPolicy.MANUAL:
                await message.ack()
            return "an answer"

        subscriber(take_batch if batch else take)
        await broker.start()
        try:
            yield broker
        finally:
            await broker.stop()

    async def send(self, value: bytes | None, headers: Headers, key: bytes | None = b"key") -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.kafka.bootstrap, compression_type="gzip", max_request_size=16 * MEGABYTE
        )
        await producer.start()
        try:
            await producer.send_and_wait(self.topic, value, key=key, headers=list(headers))
        finally:
            await safe_stop(producer)

    async def order(self, number: int, token: str) -> None:
        await self.send(json.dumps({"order": number}).encode(), [("authorization", f"Bearer {token}".encode())])

    async def committed(self) -> int | None:
        async with _consumer(self.kafka, group_id=self.topic) as consumer:
            offset: int | None = await consumer.committed(TopicPartition(self.topic, 0))
            return offset

    async def committed_is(self, offset: int) -> None:
        async with _consumer(self.kafka, group_id=self.topic) as consumer:

            async def moved() -> bool:
                return bool(await consumer.committed(TopicPartition(self.topic, 0)) == offset)

            await _until(moved)

    async def rejected(self, count: int) -> list["ConsumerRecord[bytes, bytes]"]:
        async with _consumer(self.kafka, f"{self.topic}.rejected") as consumer:
            return [await asyncio.wait_for(consumer.getone(), 30) for _ in range(count)]


@contextlib.asynccontextmanager
async def _consumer(kafka: Broker, *topics: str, group_id: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=kafka.bootstrap,
        group_id=group_id,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await safe_stop(consumer)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.02)


@pytest.fixture
async def world(kafka: Broker, fresh_topic: FreshTopic, verifier: Verifier) -> World:
    topic = await fresh_topic("orders")
    await create_topic(kafka.bootstrap, f"{topic}.rejected")
    return World(kafka, topic, verifier)


@pytest.fixture
async def without_rejected_topic(kafka: Broker, fresh_topic: FreshTopic, verifier: Verifier) -> World:
    return World(kafka, await fresh_topic("orders"), verifier)


async def _create_rejected(world: World, kafka: Broker, most: int) -> None:
    """The topic of what was refused takes batches of ``most`` bytes."""
    await create_topic(kafka.bootstrap, f"{world.topic}.rejected", configs={"max.message.bytes": str(most)})


NASTY: Headers = [
    ("a", b"1"),
    ("a", b"2"),
    ("null", None),
    ("bytes", b"\xff\x00"),
    ("reply_to", b"somewhere.else"),
    ("content-type", b"application/json"),
    ("ostraka-reason", b"none"),
]


@pytest.mark.parametrize(
    ("value", "key", "headers", "reason"),
    [
        (b'{"order": 1}', b"key", [], b"no_token"),
        (b'{"order": 1}', None, [], b"no_token"),
        (b"\xff{broken", b"\xff\x00", [("authorization", b"Bearer a.b.c")], b"malformed"),
        (None, b"key", [("authorization", b"Bearer a.b.c")], b"malformed"),
        (b"", b"key", [("authorization", None)], b"malformed"),
        (b"x", b"", [("authorization", b"\xff")], b"malformed"),
        (b"x", b"key", [("authorization", b"Bearer \xff\xfe")], b"malformed"),
    ],
)
async def test_what_is_refused_is_copied_byte_for_byte(
    world: World, value: bytes | None, key: bytes | None, headers: Headers, reason: bytes
) -> None:
    before = [*NASTY, *headers]
    await world.send(value, before, key)
    async with world.service():
        [copy] = await world.rejected(1)
        await world.committed_is(1)
    assert (copy.key, copy.value) == (key, value)
    assert list(copy.headers[:-2]) == before
    assert copy.headers[-2] == ("ostraka-reason", reason)
    assert copy.headers[-1][0] == "ostraka-rejected-at"
    assert world.handled == []


async def test_two_good_tokens_in_one_message_are_refused(world: World, issuer: FakeIssuer) -> None:
    value = f"Bearer {issuer.token()}".encode()
    await world.send(b"{}", [("authorization", value), ("authorization", value)])
    async with world.service():
        [copy] = await world.rejected(1)
    assert copy.headers[2] == ("ostraka-reason", b"malformed")
    assert world.handled == []


async def test_a_good_token_among_nasty_headers_is_handled_and_nothing_is_sent_where_the_sender_says(
    world: World, kafka: Broker, fresh_topic: FreshTopic, issuer: FakeIssuer
) -> None:
    elsewhere = await fresh_topic("elsewhere")
    bearer = f"Bearer {issuer.token()}".encode()
    headers = [*NASTY, ("authorization", bearer), ("reply_to", elsewhere.encode())]
    await world.send(b'{"order": 1}', headers)
    await world.order(2, issuer.token())
    # The subscriber was not told no_reply, and its handler returns something.
    async with world.service():
        await eventually(lambda: len(world.handled) == 2)
        await world.committed_is(2)
    assert world.handled == [({"order": 1}, "alice"), ({"order": 2}, "alice")]
    async with _consumer(kafka) as consumer:
        ends = await consumer.end_offsets([TopicPartition(elsewhere, 0), TopicPartition(f"{world.topic}.rejected", 0)])
    assert set(ends.values()) == {0}


async def test_good_and_refused_messages_keep_their_order(world: World, issuer: FakeIssuer) -> None:
    good, cut = issuer.token(), issuer.token(sub="mallory")
    world.verifier.deliver(issuer.cut_subject("mallory"))
    for number in range(10):
        await world.order(number, cut if number % 3 == 0 else good)
    async with world.service():
        await eventually(lambda: len(world.handled) == 6)
        copies = await world.rejected(4)
        await world.committed_is(10)
    assert [order["order"] for order, _ in world.handled] == [1, 2, 4, 5, 7, 8]
    assert [json.loads(copy.value or b"")["order"] for copy in copies] == [0, 3, 6, 9]
    assert {dict(copy.headers)["ostraka-reason"] for copy in copies} == {b"revoked"}


@pytest.mark.parametrize("policy", EVERY_POLICY)
@pytest.mark.filterwarnings("ignore:.*REJECT_ON_ERROR.*")
async def test_no_copy_no_progress(
    without_rejected_topic: World, issuer: FakeIssuer, policy: AckPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    world = without_rejected_topic
    await world.order(1, "a.b.c")
    await world.order(2, issuer.token())
    async with world.service(policy):
        # It was tried twice, so it was not let go after the first time.
        await eventually(lambda: caplog.text.count("cannot write to") >= 2)
        if policy is not AckPolicy.ACK_FIRST:
            assert await world.committed() in (None, 0)
        assert world.handled == []
        await create_topic(world.kafka.bootstrap, f"{world.topic}.rejected")
        [copy] = await world.rejected(1)
        await eventually(lambda: len(world.handled) == 1)
        if policy is not AckPolicy.ACK_FIRST:
            await world.committed_is(2)
    assert json.loads(copy.value or b"") == {"order": 1}
    assert world.handled == [({"order": 2}, "alice")]


@pytest.mark.parametrize("policy", EVERY_POLICY)
@pytest.mark.filterwarnings("ignore:.*REJECT_ON_ERROR.*")
async def test_a_message_that_cannot_be_decided_waits_and_is_not_refused(
    world: World, issuer: FakeIssuer, policy: AckPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.clock.advance(100)
    token = issuer.token()
    await world.order(1, token)
    await world.order(2, token)
    async with world.service(policy, patience=0.1):
        await eventually(lambda: caplog.text.count("the verifier cannot decide") >= 3)
        assert world.handled == []
        world.verifier.deliver(issuer.heartbeat())
        await eventually(lambda: len(world.handled) == 2)
        if policy is not AckPolicy.ACK_FIRST:
            await world.committed_is(2)
    assert [order["order"] for order, _ in world.handled] == [1, 2]
    async with _consumer(world.kafka) as consumer:
        rejected = TopicPartition(f"{world.topic}.rejected", 0)
        assert await consumer.end_offsets([rejected]) == {rejected: 0}


async def test_a_service_that_ends_while_a_message_waits_finds_it_again(world: World, issuer: FakeIssuer) -> None:
    issuer.clock.advance(100)
    await world.order(1, issuer.token())
    looked = asyncio.Event()
    real = world.verifier.verify

    def verify(*args: Any, **options: Any) -> Any:
        looked.set()
        return real(*args, **options)

    world.verifier.verify = verify  # type: ignore[method-assign]
    async with world.service(graceful_timeout=0.2):
        await asyncio.wait_for(looked.wait(), 30)
    assert world.handled == []
    world.verifier.deliver(issuer.heartbeat())
    async with world.service():
        await eventually(lambda: len(world.handled) == 1)


@pytest.mark.parametrize("policy", [AckPolicy.ACK, AckPolicy.ACK_FIRST, AckPolicy.MANUAL])
async def test_a_batch_subscriber_gets_nowhere_and_loses_nothing(
    world: World, issuer: FakeIssuer, policy: AckPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    await world.order(1, issuer.token())
    async with world.service(policy, batch=True):
        await eventually(lambda: caplog.text.count("batch subscribers are not supported") >= 3)
    assert world.handled == []
    assert await world.committed() in (None, 0)
    async with world.service():
        await eventually(lambda: len(world.handled) == 1)


async def test_a_broker_without_a_producer_stands_still_at_the_first_refusal(
    world: World, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    await world.order(1, issuer.token())
    await world.order(2, "a.b.c")
    await world.order(3, issuer.token())
    async with world.service(consumer_only=True):
        await eventually(lambda: caplog.text.count("have to be written somewhere") >= 3)
    assert [order["order"] for order, _ in world.handled] == [1]
    assert await world.committed() == 1


@pytest.mark.parametrize("policy", EVERY_POLICY)
@pytest.mark.filterwarnings("ignore:.*REJECT_ON_ERROR.*")
async def test_what_is_too_large_to_be_copied_leaves_a_stub_and_stops_nobody(
    world: World, issuer: FakeIssuer, policy: AckPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    # A few kilobytes on the wire; more than max_request_size once it was decompressed.
    value, before = bytes(3 * MEGABYTE), [*NASTY, ("authorization", b"Bearer a.b.c")]
    await world.order(1, issuer.token())
    await world.send(value, before)
    await world.order(2, issuer.token())
    async with world.service(policy):
        await eventually(lambda: len(world.handled) == 2)
        [stub] = await world.rejected(1)
        await world.committed_is(3)
    assert [order["order"] for order, _ in world.handled] == [1, 2]
    assert (stub.key, stub.value) == (b"key", None)
    assert list(stub.headers[:-4]) == before
    assert stub.headers[-4] == ("ostraka-reason", b"malformed")
    assert stub.headers[-3][0] == "ostraka-rejected-at"
    assert stub.headers[-2:] == (
        ("ostraka-original", f"{world.topic}/0/1".encode()),
        ("ostraka-sha256", hashlib.sha256(value).hexdigest().encode()),
    )
    [record] = [record for record in caplog.records if "a stub was written" in record.message]
    assert record.levelno == logging.WARNING


@pytest.mark.parametrize(
    ("key", "headers", "kept"),
    [(b"key", [("big", bytes(2 * MEGABYTE))], b"key"), (bytes(2 * MEGABYTE), [("small", b"1")], None)],
)
async def test_a_stub_has_no_headers_and_no_key_that_are_too_large_themselves(
    world: World, issuer: FakeIssuer, key: bytes, headers: Headers, kept: bytes | None
) -> None:
    await world.send(None, headers, key)
    await world.order(2, issuer.token())
    async with world.service():
        await eventually(lambda: len(world.handled) == 1)
        [stub] = await world.rejected(1)
        await world.committed_is(2)
    assert (stub.key, stub.value) == (kept, b"" if kept is None else None)
    assert [name for name, _ in stub.headers] == [
        "ostraka-reason",
        "ostraka-rejected-at",
        "ostraka-original",
        "ostraka-sha256",
    ]
    assert stub.headers[-1][1] is None


async def test_what_the_topic_of_the_refused_does_not_take_leaves_a_stub(
    without_rejected_topic: World, kafka: Broker, issuer: FakeIssuer
) -> None:
    world = without_rejected_topic
    await _create_rejected(world, kafka, 1_000)
    await world.send(random.Random(1).randbytes(5_000), [])
    await world.order(2, issuer.token())
    async with world.service():
        await eventually(lambda: len(world.handled) == 1)
        [stub] = await world.rejected(1)
        await world.committed_is(2)
    assert stub.value is None
    assert dict(stub.headers)["ostraka-original"] == f"{world.topic}/0/0".encode()


async def test_where_not_even_a_stub_fits_an_error_is_logged_and_nobody_is_stopped(
    without_rejected_topic: World, kafka: Broker, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    world = without_rejected_topic
    await _create_rejected(world, kafka, 10)
    await world.send(b"x", [])
    await world.order(2, issuer.token())
    async with world.service():
        await eventually(lambda: len(world.handled) == 1)
        await world.committed_is(2)
    [record] = [record for record in caplog.records if "not even a stub" in record.message]
    assert record.levelno == logging.ERROR
    assert f"{world.topic}[0] at offset 0" in record.message


async def test_a_message_with_neither_key_nor_value_stops_nobody(world: World, issuer: FakeIssuer) -> None:
    await produce_batch(world.kafka.bootstrap, world.topic, null_batch())
    await world.order(2, issuer.token())
    async with world.service():
        await eventually(lambda: len(world.handled) == 1)
        [copy] = await world.rejected(1)
        await world.committed_is(2)
    assert (copy.key, copy.value) == (None, b"")
    assert copy.headers[0] == ("ostraka-reason", b"no_token")


async def test_an_unreadable_batch_stops_its_partition_until_the_group_is_moved_past_it(
    world: World, issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/how-to/unreadable-messages.md says, of a batch that aiokafka cannot decode."""
    failed = 0
    getone = AIOKafkaConsumer.getone

    async def counting(consumer: AIOKafkaConsumer, *partitions: TopicPartition) -> Any:
        nonlocal failed
        try:
            return await getone(consumer, *partitions)
        except UnicodeDecodeError:
            failed += 1
            raise

    monkeypatch.setattr(AIOKafkaConsumer, "getone", counting)
    await world.order(1, issuer.token())
    await produce_batch(world.kafka.bootstrap, world.topic, bad_header_batch(2))
    await world.order(2, issuer.token())
    async with world.service():
        # The record before it in the same batch has no token and goes where such ones go.
        await world.rejected(1)
        await world.committed_is(2)
        await eventually(lambda: failed >= 3)
        assert [order for order, _ in world.handled] == [{"order": 1}]
    async with _consumer(world.kafka, group_id=world.topic) as consumer:
        partition = TopicPartition(world.topic, 0)
        consumer.assign([partition])
        await consumer.commit({partition: 3})
    async with world.service():
        await eventually(lambda: len(world.handled) == 2)
        await world.committed_is(4)
    assert [order for order, _ in world.handled] == [{"order": 1}, {"order": 2}]


async def test_a_batch_with_a_codec_that_is_not_installed_lets_nobody_past(
    world: World, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    await world.order(1, issuer.token())
    await produce_batch(world.kafka.bootstrap, world.topic, zstd_batch(2))
    await world.order(2, issuer.token())
    async with world.service(logger=logging.getLogger("faststream-here")):
        await eventually(lambda: "no suitable compression library" in caplog.text)
        await world.committed_is(1)
        assert [order for order, _ in world.handled] == [{"order": 1}]
