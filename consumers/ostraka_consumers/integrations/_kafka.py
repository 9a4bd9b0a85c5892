"""What FastStream 0.7 does not do by itself with a Kafka message: copy it exactly, and leave it where it is."""

import asyncio
import logging
from typing import Any, Final

from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError
from faststream import ContextRepo, StreamMessage
from faststream.kafka import KafkaBroker
from faststream.kafka.publisher.producer import AioKafkaFastProducerImpl

from ostraka_consumers.errors import ConfigurationError

from ._messages import Headers, stub_headers

_log: Final = logging.getLogger("ostraka.faststream")

NO_PRODUCER: Final = "the broker only consumes, but refused messages have to be written somewhere"

TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError)
"""Said by our own producer (``max_request_size``) or by the broker. No later attempt makes a message smaller."""


async def write_copy(
    context: ContextRepo, topic: str, record: "ConsumerRecord[bytes, bytes]", headers: Headers, added: Headers
) -> None:
    """Write key, value and both kinds of headers to ``topic`` and wait until that is acknowledged.

    If there is neither key nor value, the copy has an empty value.

    Raises:
        ConfigurationError: the broker has no producer, and never will.
        Exception: whatever aiokafka raises if it cannot be written; one of ``TOO_LARGE`` if it never can be.
    """
    await _write(context, topic, record.key, record.value, [*headers, *added])


async def write_stub(
    context: ContextRepo, topic: str, record: "ConsumerRecord[bytes, bytes]", headers: Headers, added: Headers
) -> None:
    """Write that the record cannot be copied: all but its value, and where that is; without what is still too large.

    Raises:
        As ``write_copy``.
    """
    # In a thread: what came in a few kilobytes may be gigabytes once it was decompressed.
    where = await asyncio.to_thread(stub_headers, record.topic, record.partition, record.offset, record.value)
    added = [*added, *where]
    for key, kept in ((record.key, headers), (record.key, ())):
        try:
            await _write(context, topic, key, None, [*kept, *added])
        except TOO_LARGE:
            continue
        return
    await _write(context, topic, None, None, added)


async def _write(context: ContextRepo, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
    broker = context.get("broker")
    producer = broker.config.producer if isinstance(broker, KafkaBroker) else None
    if not producer:
        raise ConfigurationError(NO_PRODUCER)
    if key is None and value is None:
        value = b""  # aiokafka sends no record that has neither.
    if isinstance(producer, AioKafkaFastProducerImpl):
        # FastStream's own publish() knows headers of text only, each name once.
        raw: AIOKafkaProducer = producer._producer.producer  # noqa: SLF001 - there is no public way
        await raw.send_and_wait(topic, value=value, key=key, headers=list(headers))
    else:
        # A TestKafkaBroker: as much as it can carry.
        text = {name: value.decode("utf-8", "replace") for name, value in headers if value is not None}
        await broker.publish(value, topic, key=key or None, headers=text)


async def take_again(message: StreamMessage[Any]) -> None:
    """Go back to this message, so that the consumer gets it once more and its offset is not committed."""
    if message.committed is None:
        await message.nack()
        return
    # Under ACK_FIRST FastStream takes the message for done and would do nothing.
    raw = message.raw_message
    for record in reversed(raw) if isinstance(raw, tuple | list) else (raw,):
        message.consumer.seek(TopicPartition(record.topic, record.partition), record.offset)  # type: ignore[attr-defined]


async def mark_done(message: StreamMessage[Any]) -> None:
    """Commit what was read so far, this message included, also where FastStream leaves that to the handler.

    If it fails, as without a group, or after the partition went to somebody else, the message may come once more.
    """
    try:
        await message.ack()
    except KafkaError as error:
        _log.warning("could not commit: %s", type(error).__name__)
