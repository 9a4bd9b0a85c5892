"""What a broker or a rogue producer could make a client do with a few bytes, and must not."""

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.record import MemoryRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from ostraka_consumers.limits import SOURCE_FRAME_BYTES
from ostraka_consumers.sources._aiokafka import safe_stop
from ostraka_consumers.sources._aiokafka_bounds import Frames, FrameTooLarge, without_compressed
from ostraka_consumers.sources._refusal import why_refused
from ostraka_consumers.sources.kafka import KafkaSource
from tests.consumers.sources.recording import BRISK, RecordingSink, eventually, numbered, produce, running
from tests.consumers.sources.test_kafka_source import source_of
from tests.kafka.broker import Broker
from tests.kafka.fixtures import FreshTopic

GZIP = 1
ENOUGH = 64 * 1024 * 1024


def batch(first: int, values: list[bytes], codec: int) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=10_000_000,
    )
    for number, value in enumerate(values):
        builder.append(number, 1, None, value, [])
    return first.to_bytes(8, "big") + bytes(builder.build())[8:]


def message(magic: int, value: bytes, codec: int) -> bytes:
    builder = LegacyRecordBatchBuilder(magic=magic, compression_type=codec, batch_size=10_000_000)
    builder.append(0, 1, None, value)
    return bytes(builder.build())


def batches(data: bytes) -> list[tuple[int, bool, list[bytes | None]]]:
    """Where each ends, whether consumers pass over it, and what is in it otherwise."""
    records, found = MemoryRecords(data), []
    while records.has_next():
        each = records.next_batch()
        assert each is not None
        assert each.validate_crc()
        passed_over = each.is_control_batch
        found.append((each.next_offset, passed_over, [] if passed_over else [record.value for record in each]))
    return found


# --- compression -----------------------------------------------------------------------------------------------------


def test_what_is_compressed_is_passed_over_and_nothing_else() -> None:
    plain = batch(0, [b"a", b"b"], 0)
    data = plain + batch(2, [b"x"] * 5, GZIP) + batch(7, [b"c"], 0) + batch(8, [b"y" * 5_000_000], GZIP)
    assert batches(without_compressed(data)) == [
        (2, False, [b"a", b"b"]),
        (7, True, []),
        (8, False, [b"c"]),
        (9, True, []),
    ]
    assert without_compressed(plain) is plain
    assert without_compressed(b"") == b""


@pytest.mark.parametrize("magic", [0, 1])
def test_a_compressed_message_of_old_is_not_undone(magic: int) -> None:
    data = message(magic, b"x" * 5_000_000, GZIP)
    (found,) = batches(without_compressed(data))
    assert found[2]
    assert len(found[2][0] or b"") < len(data)
    plain = message(magic, b"x", 0)
    assert without_compressed(plain) is plain


@pytest.mark.parametrize("codec", range(2, 8))
def test_whatever_names_a_codec_is_compressed(codec: int) -> None:
    raw = bytearray(batch(0, [b"x"], GZIP))
    raw[22] = raw[22] & ~7 | codec
    # The checksum is wrong now, so nobody reads on.
    assert without_compressed(bytes(raw)) == bytes(raw)
    raw[17:21] = int(calc_crc32c(bytes(raw[21:]))).to_bytes(4, "big")
    assert batches(without_compressed(bytes(raw))) == [(1, True, [])]


def test_what_is_not_there_whole_stays_as_it_is() -> None:
    whole = batch(0, [b"x"], GZIP)
    for length in range(len(whole)):
        assert without_compressed(whole[:length]) == whole[:length]
    for length in (-(2**31), -12, -1, 0, 5, 2**31 - 1):
        forged = whole[:8] + struct.pack(">i", length) + whole[12:]
        assert without_compressed(forged) == forged


async def test_a_compressed_batch_is_neither_undone_nor_in_the_way(kafka: Broker, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic("feed")
    await produce(kafka.bootstrap, topic, numbered(1, 3))
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, compression_type="gzip")
    try:
        await producer.start()
        for _ in range(3):
            await producer.send_and_wait(topic, b"\0" * 900_000, partition=0)
    finally:
        await safe_stop(producer)
    await produce(kafka.bootstrap, topic, numbered(4, 6))
    sink = RecordingSink()
    async with running(source_of(kafka, topic), sink):
        await eventually(lambda: b"record 6" in sink.delivered, lambda: str(sink.states))
    assert sink.delivered == numbered(1, 6)
    assert sink.states == ["connecting", "reading"]


# --- frames ----------------------------------------------------------------------------------------------------------


async def test_a_frame_is_read_up_to_the_largest() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(bytes(SOURCE_FRAME_BYTES))
    frames = Frames(reader)
    assert len(await frames.readexactly(SOURCE_FRAME_BYTES)) == SOURCE_FRAME_BYTES
    for count in (SOURCE_FRAME_BYTES + 1, -1):
        with pytest.raises(FrameTooLarge):
            await frames.readexactly(count)
    assert not frames.at_eof()


class Endless:
    """A broker that answers whatever it is asked with one frame of 2 GiB; it counts what is taken of it."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self.answers)
        self.answers.append(0)
        try:
            await reader.read(100)
            writer.write(struct.pack(">i", 2**31 - 1))
            while self.answers[number] < ENOUGH:
                writer.write(bytes(262_144))
                await writer.drain()
                self.answers[number] += 262_144
        except ConnectionError:
            return
        finally:
            writer.transport.abort()


@pytest_asyncio.fixture
async def endless() -> AsyncIterator[Endless]:
    broker = Endless()
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield broker
    server.close()
    await server.wait_closed()


async def test_an_answer_without_end_ends_the_connection(endless: Endless) -> None:
    sink = RecordingSink()
    # Not ``running``: the broker's own tasks, one a connection, come and go here, too.
    following = asyncio.create_task(KafkaSource(endless.address, timing=BRISK).run(sink))
    try:
        await eventually(lambda: len(endless.answers) >= 3, lambda: str(sink.states))
    finally:
        following.cancel()
        await asyncio.wait({following})
    assert max(endless.answers) < ENOUGH


async def test_finding_out_why_is_bounded_too(endless: Endless) -> None:
    assert await why_refused(endless.address) is not None
    assert max(endless.answers) < ENOUGH
