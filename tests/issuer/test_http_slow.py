"""Readers of the feed who are far behind and take little: each costs the same small amount, and not for long."""

import asyncio
import contextlib
import gc
import re
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from types import SimpleNamespace

import pytest
import uvicorn
from fastapi import FastAPI

from ostraka_issuer.errors import TooManyReaders
from ostraka_issuer.feed.channel import Channel
from ostraka_issuer.feed.log import StoredRecord
from ostraka_issuer.feed.recent import Recent
from ostraka_issuer.http import feed, problems
from ostraka_issuer.http.feed_answers import Answers
from ostraka_issuer.http.seats import Seats
from ostraka_issuer.http.waiting import BoundedConfig, BoundedProtocol, WaitingRoom
from ostraka_issuer.limits import FEED_ANSWER_BYTES, FEED_RECENT_RECORDS, FEED_SLICE, HTTP_UNSENT
from ostraka_schemas.records import Position
from tests.issuer.feed.test_follower import beat, record

SECONDS = 30.0
LONG = 3_600.0
SHORT = 0.3
RECORDS = 1_000
READERS = 32
RECORD = 1_024
SYSTEM = 4_096
"""What the system is asked to hold for a connection on either side; it takes twice as much and a little more."""

FRAMING = 1_024
"""Of HTTP around a slice, the head of the answer included, and what an event has around a record."""

EACH = 128 * 1024
"""Everything that one reader may cost, with its connection, its request and its tasks."""


def stored(seq: int) -> StoredRecord:
    return record(seq)._replace(raw=b"%d " % seq + b"x" * RECORD)


class Service:
    """The feed behind a socket, for readers who are ``RECORDS`` behind."""

    def __init__(self, patience: float, in_memory: int = FEED_RECENT_RECORDS) -> None:
        self.records = [stored(seq) for seq in range(1, RECORDS + 1)]
        self.channel = Channel(self._read, Recent(most=in_memory, max_bytes=2 * RECORDS * RECORD))
        self.channel.begin(self.records, whole=True)
        self.channel.push_beat(beat(RECORDS))
        self.seats = Seats(READERS)
        app = FastAPI()
        app.state.issuer = SimpleNamespace(feed=SimpleNamespace(channel=self.channel))
        app.state.readers, app.state.answers = self.seats, Answers()
        problems.install(app)
        app.include_router(feed.router)
        room = WaitingRoom(READERS, LONG)
        self._server = uvicorn.Server(
            BoundedConfig(app, room=room, patience=patience, log_config=None, access_log=False, lifespan="off")
        )
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SYSTEM)
        self.clients: list[socket.socket] = []

    async def _read(self, after: Position | None, most: int) -> Sequence[StoredRecord]:
        begin = 0 if after is None else after.seq
        # As a database gives them: the bytes are new ones, each time.
        return [each._replace(raw=bytes(bytearray(each.raw))) for each in self.records[begin : begin + most]]

    @property
    def connections(self) -> list[BoundedProtocol]:
        return [each for each in self._server.server_state.connections if isinstance(each, BoundedProtocol)]

    def buffered(self) -> int:
        """Of the connection that has most."""
        return max((each.transport.get_write_buffer_size() for each in self.connections), default=0)

    async def ask(self, accept: str, after: int = 0) -> socket.socket:
        client = socket.socket()
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SYSTEM)
        self.clients.append(client)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, self._listener.getsockname())
        head = f"GET /feed/events?after=1:{after} HTTP/1.1\r\nhost: here\r\naccept: {accept}\r\n\r\n"
        await loop.sock_sendall(client, head.encode())
        return client

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Service"]:
        task = asyncio.create_task(self._server._serve(sockets=[self._listener]))
        try:
            yield self
        finally:
            for client in self.clients:
                client.close()
            self.channel.close()
            self._server.should_exit = True
            await asyncio.wait_for(task, SECONDS)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not is_so():
            await asyncio.sleep(0.005)


def all_stalled(service: Service, number: int) -> bool:
    found = service.connections
    return len(found) == number and all(each.flow.write_paused for each in found)


@pytest.mark.parametrize("in_memory", [1, FEED_RECENT_RECORDS])
@pytest.mark.parametrize("accept", ["text/event-stream", "text/plain"])
async def test_a_reader_costs_the_same_however_far_behind_it_is(accept: str, in_memory: int) -> None:
    most = HTTP_UNSENT + FRAMING + (FEED_SLICE if accept == "text/event-stream" else FEED_ANSWER_BYTES) + FRAMING
    async with Service(LONG, in_memory).running() as service:
        # What is made once, by whoever comes first, is no reader's.
        await service.ask(accept)
        await until(lambda: all_stalled(service, 1))
        gc.collect()
        tracemalloc.start()
        try:
            for number in range(1, READERS):
                await service.ask(accept, number)
            await until(lambda: all_stalled(service, READERS))
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert service.buffered() <= most
        assert held / (READERS - 1) <= EACH


@pytest.mark.parametrize("accept", ["text/event-stream", "text/plain"])
async def test_who_takes_next_to_nothing_is_gone_with_all_it_held(accept: str) -> None:
    async with Service(SHORT).running() as service:
        clients = [await service.ask(accept) for _ in range(READERS)]

        def gone() -> bool:
            # A byte now and then keeps the connection alive for the system, and is no reading.
            for client in clients:
                with contextlib.suppress(OSError):
                    client.recv(1)
            return not service.connections

        await until(lambda: len(service.connections) == READERS)

        def all_seats_are_free() -> bool:
            with contextlib.suppress(TooManyReaders), contextlib.ExitStack() as seats:
                for _ in range(READERS):
                    seats.enter_context(service.seats.taken())
                return True
            return False

        await until(gone)
        # Who served it hears a moment later that it has gone.
        await until(all_seats_are_free)
        for client in clients:
            # What the system had of it, and nothing of what the issuer held.
            assert await asyncio.wait_for(left_for(client), SECONDS) < FEED_SLICE


async def left_for(client: socket.socket) -> int:
    """How many bytes there are until the connection ends."""
    size = 0
    with contextlib.suppress(ConnectionResetError):
        while got := await asyncio.get_running_loop().sock_recv(client, 65_536):
            size += len(got)
    return size


async def test_a_crowd_that_comes_back_catches_up_within_bounds() -> None:
    """A crowd scaled down: what each of them costs does not depend on how many there are."""
    highest = 0
    async with Service(LONG).running() as service:

        async def catch_up() -> list[int]:
            nonlocal highest
            client, got = await service.ask("text/event-stream"), bytearray()
            while b"event: heartbeat" not in got[-4 * FRAMING :]:
                got += await asyncio.get_running_loop().sock_recv(client, 65_536)
                highest = max(highest, service.buffered())
            return [int(seq) for seq in re.findall(rb"id: 1:(\d+)\n", unchunked(bytes(got)))]

        async with asyncio.timeout(SECONDS):
            caught_up = await asyncio.gather(*(catch_up() for _ in range(READERS)))
    assert caught_up == [list(range(1, RECORDS + 1))] * READERS
    assert 0 < highest <= HTTP_UNSENT + FEED_SLICE + 2 * FRAMING


def unchunked(answer: bytes) -> bytes:
    """The body of a chunked answer (RFC 9112 §7.1), as far as it came."""
    body, rest = b"", answer.partition(b"\r\n\r\n")[2]
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size or b"0", 16)
        body, rest = body + rest[:length], rest[length + 2 :]
    return body
