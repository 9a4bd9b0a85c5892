"""The Kafka source against a real broker, with a sink that records."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from ostraka_consumers.sources import KafkaSource
from ostraka_consumers.sources._policy import KafkaTiming
from tests.consumers.sources.recording import BRISK, RecordingSink, eventually, numbered, produce, running
from tests.kafka.broker import Broker, EmbeddedKafka
from tests.kafka.fixtures import FreshTopic, OwnKafka
from tests.kafka.topics import create_topic, delete_topics


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


def source_of(broker: Broker, topic: str, timing: KafkaTiming = BRISK) -> KafkaSource:
    return KafkaSource(broker.bootstrap, topic=topic, fetch_max_wait_ms=20, timing=timing)


@contextlib.asynccontextmanager
async def admin_of(broker: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def topics_of(broker: Broker) -> set[str]:
    async with admin_of(broker) as admin:
        return set(await admin.list_topics())


async def test_delivers_everything_from_the_beginning_in_order_and_then_what_comes(
    kafka: Broker, fresh_topic: FreshTopic, sink: RecordingSink
) -> None:
    topic = await fresh_topic("feed")
    await produce(kafka.bootstrap, topic, numbered(1, 500))
    async with running(source_of(kafka, topic), sink):
        await sink.holds(*numbered(1, 500))
        await produce(kafka.bootstrap, topic, numbered(501, 520))
        await sink.holds(*numbered(1, 520))
    assert sink.states == ["connecting", "reading"]


async def test_a_record_is_delivered_without_waiting_for_the_next_look(
    kafka: Broker, fresh_topic: FreshTopic, sink: RecordingSink
) -> None:
    topic = await fresh_topic("feed")
    # A source that waited out its interval would need minutes for the second record.
    async with running(source_of(kafka, topic, timing=replace(BRISK, check_every=600.0)), sink):
        await sink.says("reading")
        for number in range(1, 4):
            await produce(kafka.bootstrap, topic, numbered(number, number))
            await sink.holds(*numbered(1, number))


async def test_skips_tombstones_and_hands_over_garbage(
    kafka: Broker, fresh_topic: FreshTopic, sink: RecordingSink
) -> None:
    topic = await fresh_topic("feed")
    await produce(kafka.bootstrap, topic, [b"a", None, b"", b"\x00\xff" * 5_000, b"b"])
    async with running(source_of(kafka, topic), sink):
        await sink.holds(b"a", b"", b"\x00\xff" * 5_000, b"b")


async def test_a_backlog_does_not_starve_other_tasks(
    kafka: Broker, fresh_topic: FreshTopic, sink: RecordingSink
) -> None:
    topic = await fresh_topic("feed")
    await produce(kafka.bootstrap, topic, numbered(1, 20_000))
    turns_at: list[int] = []

    async def another_task() -> None:
        while True:
            turns_at.append(len(sink.delivered))
            await asyncio.sleep(0)

    async with running(source_of(kafka, topic), sink):
        other = asyncio.create_task(another_task())
        await eventually(lambda: len(sink.delivered) == 20_000)
        other.cancel()
        await asyncio.wait({other})
    # Between two turns of the other task the source delivered at most one bounded batch.
    assert max(later - earlier for earlier, later in itertools.pairwise(turns_at)) <= 64


async def test_a_missing_topic_is_waited_for_and_not_created(
    kafka: Broker, topic_prefix: str, sink: RecordingSink
) -> None:
    topic = f"{topic_prefix}.later"
    async with running(source_of(kafka, topic), sink):
        await sink.says("the topic does not exist")
        assert topic not in await topics_of(kafka)
        await create_topic(kafka.bootstrap, topic)
        await produce(kafka.bootstrap, topic, numbered(1, 3))
        await sink.holds(*numbered(1, 3))
    await delete_topics(kafka.bootstrap, [topic])


async def test_a_topic_with_several_partitions_is_not_read(
    kafka: Broker, fresh_topic: FreshTopic, sink: RecordingSink
) -> None:
    topic = await fresh_topic("feed", partitions=3)
    await produce(kafka.bootstrap, topic, numbered(1, 3))
    async with running(source_of(kafka, topic), sink):
        await sink.says("3 partitions and must have exactly one")
    assert sink.delivered == []
    assert "reading" not in sink.states


@pytest.mark.true_kafka
async def test_partitions_that_are_added_later_are_noticed(
    kafka: Broker, fresh_topic: FreshTopic, sink: RecordingSink
) -> None:
    topic = await fresh_topic("feed")
    async with running(source_of(kafka, topic), sink):
        await sink.says("reading")
        async with admin_of(kafka) as admin:
            await admin.create_partitions({topic: NewPartitions(total_count=3)})
        await sink.says("3 partitions and must have exactly one")


async def test_a_topic_that_is_deleted_and_made_anew_is_read_from_its_beginning(
    kafka: Broker, fresh_topic: FreshTopic, sink: RecordingSink
) -> None:
    topic = await fresh_topic("feed")
    await produce(kafka.bootstrap, topic, numbered(1, 10))
    async with running(source_of(kafka, topic), sink):
        await sink.holds(*numbered(1, 10))
        await delete_topics(kafka.bootstrap, [topic])
        await sink.says("the topic does not exist")
        assert topic not in await topics_of(kafka)
        await create_topic(kafka.bootstrap, topic)
        await produce(kafka.bootstrap, topic, numbered(11, 13))
        await sink.holds(*numbered(1, 13))


async def test_a_topic_that_is_made_anew_and_longer_than_before_is_read_from_its_beginning(
    kafka: Broker, fresh_topic: FreshTopic, sink: RecordingSink
) -> None:
    topic = await fresh_topic("feed")
    await produce(kafka.bootstrap, topic, numbered(1, 3))
    async with running(source_of(kafka, topic), sink):
        await sink.holds(*numbered(1, 3))
        await delete_topics(kafka.bootstrap, [topic])
        await sink.says("the topic does not exist")
        # Between two looks of the source: so that it finds a log that holds its old offset, with another record there.
        await create_topic(kafka.bootstrap, topic)
        await produce(kafka.bootstrap, topic, numbered(11, 20))
        await eventually(lambda: numbered(20, 20)[0] in sink.delivered)
    assert sink.delivered == [*numbered(1, 3), *numbered(11, 20)]


async def test_reading_goes_on_where_it_was_after_a_broker_was_killed(
    own_kafka: OwnKafka, topic_prefix: str, sink: RecordingSink
) -> None:
    broker, topic = await own_kafka(), f"{topic_prefix}.feed"
    await create_topic(broker.bootstrap, topic)
    await produce(broker.bootstrap, topic, numbered(1, 10))
    async with running(source_of(broker, topic), sink):
        await sink.holds(*numbered(1, 10))
        await broker.kill()
        await broker.restart()
        if broker.true_kafka:
            await produce(broker.bootstrap, topic, numbered(11, 12))
            await sink.holds(*numbered(1, 12))
        else:
            await create_topic(broker.bootstrap, topic)
            await produce(broker.bootstrap, topic, numbered(11, 12))
            await eventually(lambda: sink.delivered[-2:] == numbered(11, 12))


async def test_the_embedded_broker_comes_back_empty_and_is_read_again(topic_prefix: str, sink: RecordingSink) -> None:
    broker, topic = EmbeddedKafka(), f"{topic_prefix}.feed"
    await broker.start()
    try:
        await create_topic(broker.bootstrap, topic)
        await produce(broker.bootstrap, topic, numbered(1, 10))
        async with running(source_of(broker, topic), sink):
            await sink.holds(*numbered(1, 10))
            await broker.restart()
            await sink.says("waiting")
            # Nobody made the topic in the meantime: it would have had the wrong number of partitions.
            assert topic not in await topics_of(broker)
            await create_topic(broker.bootstrap, topic)
            await produce(broker.bootstrap, topic, numbered(1, 3))
            await sink.holds(*numbered(1, 10), *numbered(1, 3))
    finally:
        await broker.stop()


async def test_the_embedded_broker_is_refilled_before_the_reader_looks(topic_prefix: str, sink: RecordingSink) -> None:
    broker, topic = EmbeddedKafka(), f"{topic_prefix}.feed"
    await broker.start()
    try:
        await create_topic(broker.bootstrap, topic)
        await produce(broker.bootstrap, topic, numbered(1, 10))
        async with running(source_of(broker, topic), sink):
            await sink.holds(*numbered(1, 10))
            await broker.restart()
            await create_topic(broker.bootstrap, topic)
            await produce(broker.bootstrap, topic, numbered(11, 13))
            await eventually(lambda: sink.delivered[10:] == numbered(11, 13), lambda: str(sink.states))
    finally:
        await broker.stop()


async def test_silence_builds_the_consumer_anew(own_kafka: OwnKafka, topic_prefix: str, sink: RecordingSink) -> None:
    broker, topic = await own_kafka(), f"{topic_prefix}.feed"
    await create_topic(broker.bootstrap, topic)
    await produce(broker.bootstrap, topic, numbered(1, 3))
    async with running(source_of(broker, topic, timing=replace(BRISK, silence_max=0.5, request_max=1.0)), sink):
        await sink.holds(*numbered(1, 3))
        await broker.pause()
        try:
            await sink.says("no verified heartbeat for")
            await sink.says("no broker answers")
        finally:
            await broker.resume()
        await produce(broker.bootstrap, topic, numbered(4, 6))
        await sink.holds(*numbered(1, 6))


async def test_missing_records_are_looked_for_from_the_beginning(
    kafka: Broker, fresh_topic: FreshTopic, sink: RecordingSink
) -> None:
    topic = await fresh_topic("feed")
    await produce(kafka.bootstrap, topic, numbered(1, 3))
    async with running(source_of(kafka, topic), sink):
        await sink.holds(*numbered(1, 3))
        sink.incomplete = True
        await eventually(lambda: len(sink.delivered) >= 6)
        sink.incomplete = False
        await sink.says("records are missing")
    assert sink.delivered[:6] == numbered(1, 3) * 2


async def test_stopping_while_the_broker_is_down_is_quick_and_clean(
    own_kafka: OwnKafka, topic_prefix: str, sink: RecordingSink
) -> None:
    broker, topic = await own_kafka(), f"{topic_prefix}.feed"
    await create_topic(broker.bootstrap, topic)
    await produce(broker.bootstrap, topic, numbered(1, 3))
    async with running(source_of(broker, topic), sink):
        await sink.holds(*numbered(1, 3))
        await broker.kill()
        sink.news_at = time.monotonic()


async def test_stopping_a_source_that_never_reached_a_broker(sink: RecordingSink) -> None:
    async with running(KafkaSource("127.0.0.1:9", timing=BRISK), sink):
        await sink.says("no broker answers at 127.0.0.1:9")
