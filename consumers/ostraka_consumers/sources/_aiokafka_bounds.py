"""What a broker, or a stranger who may write to a topic, could make aiokafka 0.14 do with a few bytes.

* It reads a frame of whatever length a broker names, up to 2 GiB, before anybody has authenticated: ``bound_frames``.
* It undoes compression whole and on the event loop, so that kilobytes stop it and fill the memory. What is ours is
  never compressed: ``pass_over_compressed``.

Like ``_aiokafka`` this uses private attributes, and the version is bounded for that reason.
"""

import asyncio
import struct
import zlib
from types import FunctionType, MethodType
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.record.util import calc_crc32c

from ostraka_consumers.limits import SOURCE_FRAME_BYTES

_OVERHEAD: Final = 12
"""Offset and length, before every batch and every message of the old formats."""

_HEADER: Final = 61
_OLD_HEADER: Final = 18
_CODEC: Final = 0x07
_CONTROL: Final = 0x20


class FrameTooLarge(ConnectionError):
    """A broker announces more than any answer that was asked for. aiokafka closes the connection."""


class BoundedConnection(AIOKafkaConnection):  # type: ignore[misc]
    """A connection that ends where a frame of more than ``SOURCE_FRAME_BYTES`` is announced."""

    def _create_reader_task(self) -> "asyncio.Task[None]":
        reader: asyncio.StreamReader = self.__dict__["_reader"]
        self._reader = Frames(reader)
        task: asyncio.Task[None] = super()._create_reader_task()
        return task


class Frames:
    """As much of a stream as a connection needs."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader: Final = reader

    async def readexactly(self, count: int) -> bytes:
        """So many bytes.

        Raises:
            FrameTooLarge: they are more than any frame has, or fewer than none.
            asyncio.IncompleteReadError: the stream ended.
        """
        if not 0 <= count <= SOURCE_FRAME_BYTES:
            raise FrameTooLarge(f"a frame of {count} bytes")
        return await self._reader.readexactly(count)

    def at_eof(self) -> bool:
        """Whether the stream has ended."""
        return self._reader.at_eof()


def bound_frames(consumer: AIOKafkaConsumer) -> None:
    """Make a consumer that was not started yet open only connections that are bounded."""
    client: AIOKafkaClient = consumer._client  # noqa: SLF001
    client.bootstrap = _rewired(client.bootstrap, create_conn=_connect)
    client._get_conn = _rewired(client._get_conn, create_conn=_connect)  # noqa: SLF001


async def _connect(host: str, port: int, **options: Any) -> BoundedConnection:
    connection = BoundedConnection(host, port, **options)
    await connection.connect()
    return connection


def _rewired(method: Any, **names: Any) -> MethodType:
    """The method with other things behind some global names: it makes its connections by a function of its module,
    and to change that there would change it for every client of the process."""
    function = method.__func__
    own = FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__, function.__defaults__)
    own.__kwdefaults__ = function.__kwdefaults__
    return MethodType(own, method.__self__)


def pass_over_compressed(consumer: AIOKafkaConsumer) -> None:
    """Make a consumer that was not started yet pass over whatever is compressed, by its header."""
    client: AIOKafkaClient = consumer._client  # noqa: SLF001
    send = client.send

    async def send_and_look(*args: Any, **options: Any) -> Any:
        response = await send(*args, **options)
        if type(response).__name__.startswith("FetchResponse"):
            response.topics = [
                (topic, [(*about, without_compressed(data or b"")) for *about, data in partitions])
                for topic, partitions in response.topics
            ]
        return response

    client.send = send_and_look


def without_compressed(data: bytes) -> bytes:
    """The batches of an answer, where each that is compressed has become one for nobody, at the same offsets.

    Batches whose checksum is wrong stay what they are: they are refused before anybody undoes them.
    """
    pieces, done, begin = [], 0, 0
    while (end := _end(data, begin)) is not None:
        instead = _instead(data[begin:end]) if _is_compressed(data, begin) else None
        if instead is not None:
            pieces += [data[done:begin], instead]
            done = end
        begin = end
    return b"".join([*pieces, data[done:]]) if pieces else data


def _end(data: bytes, begin: int) -> int | None:
    """Where the batch ends that begins there; ``None`` if it is not there whole."""
    if len(data) - begin < _OVERHEAD + _OLD_HEADER:
        return None
    end = begin + _OVERHEAD + int(struct.unpack_from(">i", data, begin + 8)[0])
    least = _HEADER if data[begin + 16] >= 2 else _OLD_HEADER
    return end if begin + least <= end <= len(data) else None


def _is_compressed(data: bytes, begin: int) -> bool:
    attributes = data[begin + 22] if data[begin + 16] >= 2 else data[begin + 17]
    return bool(attributes & _CODEC)


def _instead(batch: bytes) -> bytes | None:
    return _control_batch(batch) if batch[16] >= 2 else _plain_message(batch)


def _control_batch(batch: bytes) -> bytes | None:
    """The header alone, marked as one of Kafka's own, which every consumer passes over (magic 2)."""
    if calc_crc32c(batch[21:]) != int.from_bytes(batch[17:21], "big"):
        return None
    checked = bytearray(batch[21:_HEADER])
    checked[1] = checked[1] & ~_CODEC | _CONTROL
    length = (_HEADER - _OVERHEAD).to_bytes(4, "big")
    return batch[:8] + length + batch[12:17] + int(calc_crc32c(checked)).to_bytes(4, "big") + bytes(checked)


def _plain_message(message: bytes) -> bytes | None:
    """The message with what is compressed as its value, which is refused like all rubbish (magic 0 and 1)."""
    if zlib.crc32(message[16:]) != int.from_bytes(message[12:16], "big"):
        return None
    checked = bytearray(message[16:])
    checked[1] &= ~_CODEC
    return message[:12] + zlib.crc32(checked).to_bytes(4, "big") + bytes(checked)
