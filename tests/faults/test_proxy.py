"""The proxy of the fault suite does what the weather says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from ostraka_issuer.desk.ports import LOCALHOST
from tests.faults.proxy import CUT, DEAF, FAIR, HALF_OPEN, MUTE, Link, Weather

DEADLINE = 10.0
QUIET = 0.1
"""Nothing must come: so long is looked."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def link_to_echo() -> AsyncIterator[tuple[Link, Callable[[], Awaitable[Streams]]]]:
    """A link in front of a server that says everything back, and a way to connect through it."""
    writers: list[asyncio.StreamWriter] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            while data := await reader.read(1_024):
                writer.write(data)
        except ConnectionError:
            return

    async def connect() -> Streams:
        reader, writer = await asyncio.open_connection(LOCALHOST, link.port)
        writers.append(writer)
        return reader, writer

    server = await asyncio.start_server(echo, LOCALHOST, 0)
    link = Link(server.sockets[0].getsockname()[1])
    await link.start()
    try:
        async with asyncio.timeout(DEADLINE):
            yield link, connect
    finally:
        await link.stop()
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


async def test_fair_weather_passes_everything_on() -> None:
    async with link_to_echo() as (link, connect):
        reader, writer = await connect()
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        assert len(link.attempts) == 1
        assert link.attempts_since(link.attempts[0]) == 1
        assert link.attempts_since(link.attempts[0] + 1) == 0


async def test_a_cut_resets_what_there_is_and_what_comes() -> None:
    async with link_to_echo() as (link, connect):
        reader, writer = await connect()
        writer.write(b"x")
        await reader.readexactly(1)
        link.set(CUT)
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        again, _ = await connect()
        with pytest.raises(ConnectionResetError):
            await again.readexactly(1)
        assert len(link.attempts) == 2
        link.set(FAIR)
        reader, writer = await connect()
        writer.write(b"y")
        assert await reader.readexactly(1) == b"y"


@pytest.mark.parametrize("weather", [HALF_OPEN, DEAF, MUTE])
async def test_what_is_held_comes_later(weather: Weather) -> None:
    async with link_to_echo() as (link, connect):
        link.set(weather)
        reader, writer = await connect()
        writer.write(b"x")
        coming = asyncio.create_task(reader.readexactly(1))
        done, _ = await asyncio.wait({coming}, timeout=QUIET)
        assert not done
        link.set(FAIR)
        assert await coming == b"x"


async def test_a_slow_link_passes_little_at_a_time() -> None:
    loop = asyncio.get_running_loop()
    async with link_to_echo() as (link, connect):
        link.set(Weather(rate=2_000, delay=0.01))
        reader, writer = await connect()
        begin = loop.time()
        writer.write(b"x" * 400)
        await reader.readexactly(400)
        assert loop.time() - begin > 0.2


async def test_every_chunk_gets_one_wrong_byte() -> None:
    async with link_to_echo() as (link, connect):
        link.set(Weather(flip=1))
        reader, writer = await connect()
        writer.write(bytes(50))
        got = await reader.readexactly(50)
        assert sum(byte != 0 for byte in got) == link.flipped >= 1


async def test_a_connection_is_torn_after_so_many_bytes() -> None:
    async with link_to_echo() as (link, connect):
        link.set(Weather(truncate=30))
        reader, writer = await connect()
        writer.write(bytes(50))
        assert len(await reader.readexactly(30)) == 30
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)


async def test_a_server_that_is_away_is_seen_by_the_client() -> None:
    link = Link(target_port=1)
    await link.start()
    try:
        reader, writer = await asyncio.open_connection(LOCALHOST, link.port)
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)
        writer.transport.abort()
        await asyncio.sleep(0)
    finally:
        await link.stop()
