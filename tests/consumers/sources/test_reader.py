"""One consumer's life, where a test has to stand between its steps."""

import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from ostraka_consumers.sources._aiokafka import forbid_topic_creation, safe_stop
from ostraka_consumers.sources._policy import Place, Rereads
from ostraka_consumers.sources._reader import Reader
from tests.consumers.sources.recording import BRISK, RecordingSink, eventually, numbered, produce, running
from tests.consumers.sources.test_kafka_source import source_of
from tests.kafka.broker import Broker
from tests.kafka.fixtures import FreshTopic


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
    reader = Reader(consumer, topic, sink, place=place, timing=BRISK, clock=lambda: 0.0)
    try:
        await reader.open()
        yield reader
    finally:
        await safe_stop(consumer)


async def read(broker: Broker, topic: str, count: int, place: Place | None) -> tuple[list[bytes], Place | None]:
    sink = StoppingSink(count)
    async with opened(broker, topic, sink, place) as reader:
        with contextlib.suppress(Stop):
            await reader.follow(Rereads(BRISK))
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
        trouble = await reader.follow(Rereads(BRISK))
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
            await reader.follow(Rereads(BRISK))
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


async def produce_zstd(bootstrap: str, topic: str, count: int) -> None:
    """Writes a valid batch with a codec that is not installed, as a producer of another language may."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        await client.add_topic(topic)
        leader = client.cluster.leader_for_partition(TopicPartition(topic, 0))
        request = ProduceRequest(
            transactional_id=None, required_acks=-1, timeout=5_000, topics=[(topic, [(0, zstd_batch(count))])]
        )
        response = await client.send(leader, request)
        assert response.topics[0][1][0][1] == 0, response
    finally:
        await client.close()


def zstd_batch(count: int) -> bytes:
    """A batch whose records are a zstd frame of one raw block (RFC 8878 §3.1.1)."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=100_000,
    )
    for number in range(count):
        builder.append(number, int(time.time() * 1000), None, b"z", [])
    plain = bytes(builder.build())
    header, records = plain[:61], plain[61:]
    content_size = (
        b"\x60" + (len(records) - 256).to_bytes(2, "little") if len(records) > 255 else b"\x20" + bytes([len(records)])
    )
    block_header = (1 | len(records) << 3).to_bytes(3, "little")
    frame = b"\x28\xb5\x2f\xfd" + content_size + block_header + records
    checked = (int.from_bytes(header[21:23], "big") | 4).to_bytes(2, "big") + header[23:] + frame
    length = (len(header) - 12 + len(frame)).to_bytes(4, "big")
    return header[:8] + length + header[12:17] + int(calc_crc32c(checked)).to_bytes(4, "big") + checked
