"""A TCP proxy for one link, which fails as it is told to.

The broker advertises the proxy's address on a listener of its own, so a client that asked once goes on through it.
"""

import asyncio
import random
import socket
import struct
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ostraka_issuer.desk.ports import LOCALHOST, find_free_port

CHUNK_BYTES = 64 * 1024
SLOW_CHUNK_BYTES = 64
"""On a slow link so much at a time: a record then takes several, and may be cut within."""


class Way(Enum):
    """Seen from the client."""

    UP = "to the server"
    DOWN = "to the client"


@dataclass(frozen=True, slots=True)
class Weather:
    """What a link does to what passes through it.

    Attributes:
        cut: connections are reset, new ones as soon as they are made.
        held: the ways on which nothing passes. It is kept, and goes on when this ends: what TCP does when packets are
            dropped for a while.
        delay: seconds that each chunk is late.
        rate: bytes a second.
        flip: of so many chunks to the client, one gets a wrong byte.
        truncate: connections are reset after so many bytes to the client.
    """

    cut: bool = False
    held: frozenset[Way] = frozenset()
    delay: float = 0.0
    rate: float | None = None
    flip: int | None = None
    truncate: int | None = None


FAIR = Weather()
CUT = Weather(cut=True)
HALF_OPEN = Weather(held=frozenset(Way))
DEAF = Weather(held=frozenset({Way.DOWN}))
MUTE = Weather(held=frozenset({Way.UP}))


@dataclass(eq=False)
class _Connection:
    near: asyncio.StreamWriter
    far: asyncio.StreamWriter | None = None
    to_client: int = 0

    def reset(self) -> None:
        for writer in (self.near, self.far):
            if writer is not None:
                _reset(writer)


@dataclass
class Link:
    """One proxy in front of ``target_port``.

    Attributes:
        attempts: when each connection was made, seconds on the monotonic clock.
        flipped: how many bytes were made wrong.
    """

    target_port: int
    port: int = field(default_factory=find_free_port)
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    weather: Weather = FAIR
    attempts: list[float] = field(default_factory=list)
    flipped: int = 0
    _open: dict[Way, asyncio.Event] = field(default_factory=lambda: {way: asyncio.Event() for way in Way})
    _connections: set[_Connection] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """``host:port`` for clients."""
        return f"{LOCALHOST}:{self.port}"

    async def start(self) -> None:
        """Listen."""
        self.set(self.weather)
        self._server = await asyncio.start_server(self._connected, LOCALHOST, self.port)

    async def stop(self) -> None:
        """Reset every connection and listen no more."""
        if self._server is not None:
            self._server.close()
        self._reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def set(self, weather: Weather) -> None:
        """Change the weather, for connections that there are and for new ones."""
        self.weather = weather
        for way, gate in self._open.items():
            if way in weather.held:
                gate.clear()
            else:
                gate.set()
        if weather.cut:
            self._reset()

    def attempts_since(self, moment: float) -> int:
        """How many connections were made since then."""
        return sum(at >= moment for at in self.attempts)

    def _reset(self) -> None:
        for connection in self._connections:
            connection.reset()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.attempts.append(time.monotonic())
        if self.weather.cut:
            _reset(writer)
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        connection = _Connection(near)
        self._connections.add(connection)
        try:
            far_reader, connection.far = await asyncio.open_connection(LOCALHOST, self.target_port)
            await _first_to_end(
                self._relay(connection, near_reader, connection.far, Way.UP),
                self._relay(connection, far_reader, near, Way.DOWN),
            )
        except OSError:
            return  # The server is gone, or either side is: the client is to see it.
        finally:
            connection.reset()
            self._connections.discard(connection)

    async def _relay(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way
    ) -> None:
        while chunk := await reader.read(CHUNK_BYTES if self.weather.rate is None else SLOW_CHUNK_BYTES):
            await self._open[way].wait()
            weather = self.weather
            wait = weather.delay + (len(chunk) / weather.rate if weather.rate else 0.0)
            if wait:
                await asyncio.sleep(wait)
            if way is Way.DOWN:
                chunk = self._worsen(connection, chunk)
            writer.write(chunk)
            await writer.drain()
            if weather.truncate is not None and connection.to_client >= weather.truncate:
                return

    def _worsen(self, connection: _Connection, chunk: bytes) -> bytes:
        weather = self.weather
        if weather.flip is not None and self.chance.randrange(weather.flip) == 0:
            at = self.chance.randrange(len(chunk))
            chunk = chunk[:at] + bytes([chunk[at] ^ 1 << self.chance.randrange(8)]) + chunk[at + 1 :]
            self.flipped += 1
        if weather.truncate is not None:
            chunk = chunk[: max(0, weather.truncate - connection.to_client)]
        connection.to_client += len(chunk)
        return chunk


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side sees a reset, not an orderly end."""
    if not writer.transport.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


async def _first_to_end(*works: Coroutine[Any, Any, None]) -> None:
    """Run them until one ends, and end the others."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
