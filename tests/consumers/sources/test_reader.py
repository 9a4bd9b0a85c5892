"""One consumer's life, where a test has to stand between its steps."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import OffsetOutOfRangeError

from ostraka_consumers.sources._aiokafka import forbid_topic_creation, safe_stop
from ostraka_consumers.sources._policy import Place, Remedies, Resume
from ostraka_consumers.sources._reader import Reader
from ostraka_schemas.topics import snapshots_topic
from tests.consumers.sources.recording import BRISK, RecordingSink, eventually, numbered, produce, running
from tests.consumers.sources.test_kafka_source import source_of
from tests.kafka.broker import Broker
from tests.kafka.fixtures import FreshTopic
from tests.support.batches import bad_header_batch, produce_batch, produce_zstd


class Stop(Exception):
    """Ends a reader from inside a test."""


class StoppingSink(RecordingSink):
    """Ends its reader after so many records."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    @property
    def incomplete(self) -> bool:
        if len(self.delivered) >= self._after:
            raise Stop
        return False

    @incomplete.setter
    def incomplete(self, value: bool) -> None:
        """Not in these tests."""


@contextlib.asynccontextmanager
async def opened(broker: Broker, topic: str, sink: RecordingSink, place: Place | None = None) -> AsyncIterator[Reader]:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="none", fetch_max_wait_ms=20)
    forbid_topic_creation(consumer)
    reader = Reader(
        consumer,
        topic,
        sink,
        snapshots=snapshots_topic(topic),
        resume=Resume(place),
        timing=BRISK,
        clock=lambda: 0.0,
    )
    try:
        await reader.open()
        await reader.fetch_snapshot()
        await reader.seek()
        yield reader
    finally:
        await safe_stop(consumer)


async def read(broker: Broker, topic: str, count: int, place: Place | None) -> tuple[list[bytes], Place | None]:
    sink = StoppingSink(count)
    async with opened(broker, topic, sink, place) as reader:
        with contextlib.suppress(Stop):
            await reader.follow(Remedies(BRISK))
    return sink.delivered, reader.place


async def test_the_next_life_starts_after_the_record_delivered_last(kafka: Broker, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic("feed")
    await produce(kafka.bootstrap, topic, numbered(1, 5))
    delivered, place = await read(kafka, topic, 5, None)
    assert (delivered, place) == (numbered(1, 5), Place(4, b"record 5"))
    await produce(kafka.bootstrap, topic, numbered(6, 7))
    assert await read(kafka, topic, 2, place) == (numbered(6, 7), Place(6, b"record 7"))


async def test_another_record_at_the_place_means_another_log(kafka: Broker, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic("feed")
    await produce(kafka.bootstrap, topic, numbered(1, 5))
    sink = RecordingSink()
    async with opened(kafka, topic, sink, Place(0, b"something else")) as reader:
        trouble = await reader.follow(Remedies(BRISK))
    assert trouble.from_beginning
    assert (sink.delivered, reader.place) == ([], None)


async def test_a_log_shorter_than_the_place_is_read_from_the_beginning(kafka: Broker, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic("feed")
    await produce(kafka.bootstrap, topic, numbered(1, 5))
    delivered, _ = await read(kafka, topic, 5, Place(5, b"record 6"))
    assert delivered == numbered(1, 5)


@pytest.mark.true_kafka
async def test_records_deleted_under_the_reader(kafka: Broker, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic("feed")
    await produce(kafka.bootstrap, topic, numbered(1, 30))
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    async with opened(kafka, topic, RecordingSink()) as reader:
        await admin.start()
        try:
            await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=25)})
        finally:
            await admin.close()
        # Away from what was fetched before they were deleted.
        reader.consumer.seek(TopicPartition(topic, 0), 9)
        # An error, never a silent jump to what is left or to the end.
        with pytest.raises(OffsetOutOfRangeError):
            await reader.follow(Remedies(BRISK))
    delivered, _ = await read(kafka, topic, 5, Place(9, b"record 10"))
    assert delivered == numbered(26, 30)


@pytest.mark.parametrize("count", [1, 2, 100])
async def test_a_batch_that_cannot_be_decoded_is_passed_over(
    kafka: Broker, fresh_topic: FreshTopic, count: int
) -> None:
    topic = await fresh_topic("feed")
    await produce(kafka.bootstrap, topic, numbered(1, 3))
    await produce_zstd(kafka.bootstrap, topic, count)
    await produce(kafka.bootstrap, topic, numbered(4, 200))
    sink = RecordingSink()
    async with running(source_of(kafka, topic), sink):
        await eventually(lambda: numbered(200, 200)[0] in sink.delivered, lambda: str(sink.states))
        await produce_zstd(kafka.bootstrap, topic, count)
        await produce(kafka.bootstrap, topic, numbered(201, 201))
        await eventually(lambda: numbered(201, 201)[0] in sink.delivered, lambda: str(sink.states))
    assert sink.delivered == numbered(1, 201)
    assert sink.states == ["connecting", "reading"]


@pytest.mark.parametrize("pattern", ["xx.x.", "x.xxx.x", "xxxxx.xx..xxx."])
async def test_no_record_between_two_such_batches_is_lost(kafka: Broker, fresh_topic: FreshTopic, pattern: str) -> None:
    topic = await fresh_topic("feed")
    wanted = []
    for number, kind in enumerate(pattern):
        if kind == "x":
            await produce_zstd(kafka.bootstrap, topic, number % 3 + 1)
        else:
            wanted.append(b"record %d" % number)
            await produce(kafka.bootstrap, topic, wanted[-1:])
    await produce(kafka.bootstrap, topic, [b"the last"])
    sink = RecordingSink()
    async with running(source_of(kafka, topic), sink):
        await eventually(lambda: b"the last" in sink.delivered, lambda: str(sink.states))
    assert sink.delivered == [*wanted, b"the last"]
    assert sink.states == ["connecting", "reading"]


@pytest.mark.true_kafka
async def test_a_header_whose_name_is_no_text_stops_nobody(kafka: Broker, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic("feed")
    await produce(kafka.bootstrap, topic, numbered(1, 3))
    await produce_batch(kafka.bootstrap, topic, bad_header_batch(2))
    await produce(kafka.bootstrap, topic, numbered(4, 5))
    sink = RecordingSink()
    async with running(source_of(kafka, topic), sink):
        await eventually(lambda: b"record 5" in sink.delivered, lambda: str(sink.states))
    # The record before it in its batch is as good as any.
    assert sink.delivered == [*numbered(1, 3), b"z", *numbered(4, 5)]
