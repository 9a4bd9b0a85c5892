"""What FastStream 0.7 does not do by itself with a Kafka message: copy it exactly, and leave it where it is."""

import logging
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from faststream import ContextRepo, StreamMessage
from faststream.kafka import KafkaBroker
from faststream.kafka.publisher.producer import AioKafkaFastProducerImpl

from ostraka_consumers.errors import ConfigurationError

from ._messages import Headers
from ._rejected import Write, send

_log: Final = logging.getLogger("ostraka.faststream")

NO_PRODUCER: Final = "the broker only consumes, but refused messages have to be written somewhere"


def writer(context: ContextRepo) -> Write:
    """Writes through the broker whose message is handled. What has neither key nor value gets an empty value.

    Raises:
        ConfigurationError: when called: the broker has no producer, and never will.
    """

    async def write(topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        broker = context.get("broker")
        producer = broker.config.producer if isinstance(broker, KafkaBroker) else None
        if not producer:
            raise ConfigurationError(NO_PRODUCER)
        if isinstance(producer, AioKafkaFastProducerImpl):
            # FastStream's own publish() knows headers of text only, each name once.
            raw: AIOKafkaProducer = producer._producer.producer  # noqa: SLF001 - there is no public way
            await send(raw, topic, key, value, headers)
        else:
            # A TestKafkaBroker: as much as it can carry.
            text = {name: value.decode("utf-8", "replace") for name, value in headers if value is not None}
            await broker.publish(b"" if key is None and value is None else value, topic, key=key or None, headers=text)

    return write


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
