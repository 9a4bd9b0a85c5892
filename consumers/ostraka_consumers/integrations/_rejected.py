"""Where refused Kafka messages go: a copy, byte for byte, or what can still be written of one. Knows no framework."""

import asyncio
import logging
from typing import Final, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError

from ._messages import Headers, stub_headers, stubs

TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError)
"""Said by our own producer (``max_request_size``) or by the broker. No later attempt makes a message smaller."""


class Write(Protocol):
    """Writes one message and waits until that is acknowledged.

    Raises:
        Exception: whatever the client raises if it cannot be written; one of ``TOO_LARGE`` if it never can be.
    """

    async def __call__(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None: ...


class Record(Protocol):
    """What is asked of a message, as the consumer found it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


async def send(
    producer: AIOKafkaProducer, topic: str, key: bytes | None, value: bytes | None, headers: Headers
) -> None:
    """Write with aiokafka; see ``Write``. It sends nothing without key and value: that gets an empty one."""
    if key is None and value is None:
        value = b""
    await producer.send_and_wait(topic, value=value, key=key, headers=list(headers))


async def reject(
    write: Write, record: Record, headers: Headers, topic: str, added: Headers, log: logging.Logger
) -> None:
    """Write ``record`` to ``topic``: as it came, with ``added`` headers; a stub if that is too large; else only a line
    in the log, for one that can be neither accepted nor copied must not stop those behind it.

    Args:
        headers: its own, as they came.

    Raises:
        Exception: not written, and another attempt may succeed; whatever ``write`` raises.
    """
    where = f"{record.topic}[{record.partition}] at offset {record.offset}"
    try:
        await write(topic, record.key, record.value, [*headers, *added])
    except TOO_LARGE:
        # In a thread: what came in a few kilobytes may be gigabytes once it was decompressed.
        found = await asyncio.to_thread(stub_headers, record.topic, record.partition, record.offset, record.value)
        for key, kept in stubs(record.key, headers, [*added, *found]):
            try:
                await write(topic, key, None, kept)
            except TOO_LARGE:
                continue
            log.warning("refused %s, but it is too large for %s: a stub was written there", where, topic)
            return
        log.error("refused %s, but %s takes not even a stub", where, topic)
