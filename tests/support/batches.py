"""Valid batches that aiokafka cannot decode or would not write: anybody who may write to a topic can put them there."""

import time

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

_HEADER = 61
_NAME = b"a-name"


async def produce_batch(bootstrap: str, topic: str, batch: bytes) -> None:
    """Writes a batch as it stands to partition 0."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        await client.add_topic(topic)
        leader = client.cluster.leader_for_partition(TopicPartition(topic, 0))
        request = ProduceRequest(transactional_id=None, required_acks=-1, timeout=5_000, topics=[(topic, [(0, batch)])])
        response = await client.send(leader, request)
        assert response.topics[0][1][0][1] == 0, response
    finally:
        await client.close()


async def produce_zstd(bootstrap: str, topic: str, count: int) -> None:
    """Writes a batch with a codec that is not installed, as a producer of another language may."""
    await produce_batch(bootstrap, topic, zstd_batch(count))


def zstd_batch(count: int) -> bytes:
    """A batch whose records are a zstd frame of one raw block (RFC 8878 §3.1.1)."""
    plain = _plain_batch(count)
    header, records = plain[:_HEADER], plain[_HEADER:]
    content_size = (
        b"\x60" + (len(records) - 256).to_bytes(2, "little") if len(records) > 255 else b"\x20" + bytes([len(records)])
    )
    block_header = (1 | len(records) << 3).to_bytes(3, "little")
    frame = b"\x28\xb5\x2f\xfd" + content_size + block_header + records
    attributes = int.from_bytes(header[21:23], "big") | 4
    return _sealed(header[:21] + attributes.to_bytes(2, "big") + header[23:], frame)


def bad_header_batch(count: int) -> bytes:
    """A batch whose last record has a header with a name that is not UTF-8."""
    plain = _plain_batch(count, [(_NAME.decode(), b"value")])
    return _sealed(plain[:_HEADER], plain[_HEADER:].replace(_NAME, b"\xff" * len(_NAME)))


def null_batch() -> bytes:
    """A batch of one record with neither key nor value."""
    return _plain_batch(1, value=None)


def _plain_batch(count: int, headers: list[tuple[str, bytes]] | None = None, value: bytes | None = b"z") -> bytes:
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
        last = number == count - 1
        builder.append(number, int(time.time() * 1000), None, value, headers or [] if last else [])
    return bytes(builder.build())


def _sealed(header: bytes, records: bytes) -> bytes:
    """With the length and the checksum of what is in it now."""
    checked = header[21:] + records
    length = (_HEADER - 12 + len(records)).to_bytes(4, "big")
    return header[:8] + length + header[12:17] + int(calc_crc32c(checked)).to_bytes(4, "big") + checked
