"""Connections over which no request is under way are few and short-lived, and keep nobody else out."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from ostraka_issuer.http.server import Server, listen
from ostraka_issuer.http.waiting import BoundedConfig, WaitingRoom
from ostraka_issuer.limits import FEED_READERS_MAX, HTTP_CONNECTIONS_MAX, HTTP_HEAD_MAX_BYTES, HTTP_WAITING_MAX

PATIENCE = 10.0
LONG = 3_600.0
SHORT = 0.2
HALF = b"GET / HTTP/1.1\r\nHost: here\r\n"
WHOLE = HALF + b"\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Service:
    """Answers at once, or at ``/held`` when it is let go."""

    def __init__(self, room: WaitingRoom, **settings: Any) -> None:
        self.room = room
        self.held = asyncio.Event()
        self.let_go = asyncio.Event()
        self._clients: list[asyncio.StreamWriter] = []
        config = BoundedConfig(self._app, room=room, log_config=None, lifespan="off", interface="asgi3", **settings)
        self._server = uvicorn.Server(config)
        self._socket = socket.create_server(("127.0.0.1", 0))

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        if scope["path"] == "/held":
            self.held.set()
            await self.let_go.wait()
        await send({"type": "http.response.body", "body": b"ok"})

    async def connect(self, sent: bytes = b"") -> Streams:
        streams = await asyncio.open_connection(*self._socket.getsockname())
        self._clients.append(streams[1])
        streams[1].write(sent)
        return streams

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Service"]:
        task = asyncio.create_task(self._server._serve(sockets=[self._socket]))
        try:
            yield self
        finally:
            for client in self._clients:
                client.close()
            self._server.should_exit = True
            await asyncio.wait_for(task, PATIENCE)


async def answer(streams: Streams) -> bytes:
    return await asyncio.wait_for(streams[0].readuntil(b"ok"), PATIENCE)


async def is_closed(streams: Streams) -> bool:
    """Waits for the end of the connection, which brings nothing with it."""
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(streams[0].read(), PATIENCE) == b""
    return True


async def waiting(service: Service, number: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(service.room) != number:
            await asyncio.sleep(0.005)


async def test_half_heads_make_room_for_a_whole_one_the_oldest_first() -> None:
    async with Service(WaitingRoom(4, LONG)).running() as service:
        slow = []
        for number in range(1, 5):
            slow.append(await service.connect(HALF))
            await waiting(service, number)
        other = await service.connect(WHOLE)
        assert (await answer(other)).startswith(b"HTTP/1.1 200")
        assert await is_closed(slow[0])
        # The others are there still, and may finish.
        slow[1][1].write(b"\r\n")
        assert (await answer(slow[1])).startswith(b"HTTP/1.1 200")


async def test_silent_connections_in_numbers_keep_nobody_out() -> None:
    async with Service(WaitingRoom(8, LONG), limit_concurrency=32).running() as service:
        for _ in range(100):
            await service.connect()
        async with asyncio.timeout(PATIENCE):
            # Those that still wait to be accepted come first; then it is the turn of an honest client.
            while b" 200 " not in await answer_or_nothing(await service.connect(WHOLE)):
                await asyncio.sleep(0.005)
        assert len(service.room) <= 8


async def answer_or_nothing(streams: Streams) -> bytes:
    with contextlib.suppress(ConnectionError):
        return await asyncio.wait_for(streams[0].readline(), PATIENCE)
    return b""


@pytest.mark.parametrize("before", [b"", WHOLE], ids=["at the beginning", "after an answer"])
async def test_a_head_that_comes_drop_by_drop_ends_at_its_deadline(before: bytes) -> None:
    async with Service(WaitingRoom(8, SHORT), timeout_keep_alive=LONG).running() as service:
        streams = await service.connect(before)
        if before:
            await answer(streams)

        # Not the reader's at_eof(): a connection that is reset never comes to one.
        closed = asyncio.Event()

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                streams[1].write(HALF)
                while not closed.is_set():
                    streams[1].write(b"X-More: 1\r\n")
                    await asyncio.sleep(SHORT / 20)

        dripping = asyncio.create_task(drip())
        assert await is_closed(streams)
        closed.set()
        await dripping
        await waiting(service, 0)


async def test_an_answer_that_takes_long_is_not_cut_off() -> None:
    async with Service(WaitingRoom(1, SHORT)).running() as service:
        held = await service.connect(b"GET /held HTTP/1.1\r\nHost: here\r\n\r\n")
        await asyncio.wait_for(service.held.wait(), PATIENCE)
        # Others come, fill the only place, and reach their deadline.
        assert await is_closed(await service.connect(HALF))
        assert await is_closed(await service.connect(HALF))
        service.let_go.set()
        assert (await answer(held)).startswith(b"HTTP/1.1 200")


async def test_a_connection_is_used_again() -> None:
    async with Service(WaitingRoom(1, LONG)).running() as service:
        streams = await service.connect(WHOLE + WHOLE)
        assert (await answer(streams)).startswith(b"HTTP/1.1 200")
        assert (await answer(streams)).count(b"HTTP/1.1 200") == 1
        streams[1].write(WHOLE)
        await answer(streams)
        await waiting(service, 1)
        streams[1].close()
        await waiting(service, 0)


async def test_a_head_that_is_too_large_is_refused() -> None:
    async with Service(WaitingRoom(1, LONG), h11_max_incomplete_event_size=HTTP_HEAD_MAX_BYTES).running() as service:
        streams = await service.connect(HALF + b"X-Large: " + b"x" * HTTP_HEAD_MAX_BYTES)
        assert b" 400 " in await asyncio.wait_for(streams[0].readline(), PATIENCE)


def test_the_server_has_room_for_its_readers_beside_those_that_wait() -> None:
    config = Server(FastAPI(), ending=lambda: None).config
    assert isinstance(config, BoundedConfig)
    assert config.limit_concurrency is not None
    assert config.room._most <= config.limit_concurrency // 8
    assert FEED_READERS_MAX + 2 * HTTP_WAITING_MAX <= HTTP_CONNECTIONS_MAX


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_head() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_head_and_body_of_an_answer_come_together() -> None:
    async with Service(WaitingRoom(4, LONG)).running() as service:
        reader, _ = await service.connect(WHOLE)
        first = await asyncio.wait_for(reader.read(HTTP_HEAD_MAX_BYTES), PATIENCE)
        assert first.startswith(b"HTTP/1.1 200")
        assert first.endswith(b"\r\n\r\nok")


async def test_a_head_does_not_wait_for_a_body_that_takes_long() -> None:
    async with Service(WaitingRoom(4, LONG)).running() as service:
        reader, _ = await service.connect(b"GET /held HTTP/1.1\r\nHost: here\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        assert head.startswith(b"HTTP/1.1 200")
        service.let_go.set()
        assert await asyncio.wait_for(reader.readexactly(2), PATIENCE) == b"ok"
