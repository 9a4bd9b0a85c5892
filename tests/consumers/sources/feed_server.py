"""A small HTTP server that serves a feed as an issuer does, and that tests can make lie."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ostraka_schemas.root import root_bytes, sign_root
from tests.consumers.sources.recording import eventually
from tests.support.fake_issuer import FakeIssuer

JWS = "application/secevent+jwt"
ROOT = "application/jose+json"
STREAM = "text/event-stream"
LINES = "text/plain; charset=utf-8"


@dataclass
class Request:
    """What a client asked for."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


Route = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


def head_of(status: int, *headers: tuple[str, str]) -> bytes:
    """Status line and headers, with the empty line."""
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def whole(status: int, kind: str, body: bytes, *headers: tuple[str, str]) -> bytes:
    """A whole answer."""
    return head_of(status, ("content-type", kind), ("content-length", str(len(body))), *headers) + body


def answers(raw: bytes, *, close: bool = False) -> Route:
    """A route that always says the same, and then ends the connection if so wished."""

    async def route(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        if close:
            writer.close()

    return route


def sse(kind: str, data: bytes, id_: str | None = None) -> bytes:
    """One server-sent event."""
    first = f"id: {id_}\n" if id_ else ""
    return f"{first}event: {kind}\ndata: ".encode() + data + b"\n\n"


@dataclass
class FeedServer:
    """Serves what ``issuer`` has published so far, its newest ``heartbeat``, ``snapshot`` and ``roots``.

    Attributes:
        routes: answers instead, by path; ``/feed/root/`` stands for all versions.
        requests: everything that was asked.
        connections: how many were opened so far.
        forgotten: how many of the oldest records are not there any more.
        withheld: how many of the newest records nobody is told of, though heartbeats speak of them.
    """

    issuer: FakeIssuer
    heartbeat: bytes | None = None
    snapshot: list[bytes] | None = None
    roots: list[bytes] = field(default_factory=list)
    streams: bool = True
    forgotten: int = 0
    withheld: int = 0
    routes: dict[str, Route] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    ssl_context: ssl.SSLContext | None = None
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _streams: set[asyncio.StreamWriter] = field(default_factory=set)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"{'http' if self.ssl_context is None else 'https'}://127.0.0.1:{self.port}"

    def asked(self, path: str) -> list[Request]:
        """The requests for a path."""
        return [request for request in self.requests if request.path == path]

    # --- life ---

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self.ssl_context, limit=1024 * 1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await eventually(lambda: not self._writers)
        if server is not None:
            await server.wait_closed()

    # --- what the issuer does ---

    async def beat(self) -> bytes:
        """Sign a heartbeat and tell everybody who follows."""
        self.heartbeat = self.issuer.heartbeat()
        await self.tell()
        return self.heartbeat

    async def tell(self) -> None:
        """Tell those who follow that there is something new."""
        async with self._news:
            self._news.notify_all()

    def shout(self, data: bytes) -> None:
        """Put bytes into every open stream."""
        for writer in self._streams & self._writers:
            _chunk(writer, data)

    def publish_root(self) -> None:
        """Serve the issuer's root document as the next version."""
        self.roots.append(root_bytes(sign_root(self.issuer.root, [self.issuer.root_key])))

    # --- one connection ---

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                while not writer.is_closing():
                    request = _read_request(await reader.readuntil(b"\r\n\r\n"))
                    self.requests.append(request)
                    # The client may go away while the answer waits for news.
                    await self._until_gone(self._route(request)(request, writer), reader)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _until_gone(self, answer: Awaitable[None], reader: asyncio.StreamReader) -> None:
        answering = asyncio.ensure_future(answer)
        try:
            while not answering.done():
                await asyncio.wait({answering}, timeout=0.02)
                if reader.at_eof() or reader.exception() is not None:
                    return
            await answering
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    def _route(self, request: Request) -> Route:
        root = request.path.startswith("/feed/root/")
        own: dict[str, Route] = {"/feed/head": self._head, "/feed/events": self._events, "/feed/snapshot": self._parts}
        default = self._root if root else own.get(request.path, self._nowhere)
        return self.routes.get("/feed/root/" if root else request.path, default)

    async def _nowhere(self, request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(404, "application/problem+json", b'{"status":404}'))
        await writer.drain()

    async def _head(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if self.heartbeat is None:
            writer.write(whole(503, "application/problem+json", b"{}", ("retry-after", "1")))
        else:
            writer.write(whole(200, JWS, self.heartbeat))
        await writer.drain()

    async def _root(self, request: Request, writer: asyncio.StreamWriter) -> None:
        version = int(request.path.rpartition("/")[2])
        if version > len(self.roots):
            await self._nowhere(request, writer)
            return
        writer.write(whole(200, ROOT, self.roots[version - 1]))
        await writer.drain()

    async def _parts(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if self.snapshot is None:
            writer.write(whole(503, "application/problem+json", b"{}", ("retry-after", "1")))
            await writer.drain()
            return
        body = b"\n".join(self.snapshot) + b"\n"
        etag = f'"{hash(body):x}"'
        if request.headers.get("if-none-match") == etag:
            writer.write(head_of(304, ("etag", etag)))
        else:
            writer.write(whole(200, LINES, body, ("etag", etag)))
        await writer.drain()

    async def _events(self, request: Request, writer: asyncio.StreamWriter) -> None:
        after = max(self.forgotten, int(request.query.get("after", "1:0").rpartition(":")[2]))
        if STREAM in request.headers["accept"] and self.streams:
            await self._stream(after, writer)
        else:
            await self._lines(after, float(request.query.get("wait", "0")), writer)

    def _published(self) -> list[bytes]:
        records = self.issuer.records
        return records[: len(records) - self.withheld]

    async def _lines(self, after: int, wait: float, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait), self._news:
                await self._news.wait_for(lambda: len(self._published()) > after)
        lines = [*self._published()[after:], *([self.heartbeat] if self.heartbeat else [])]
        writer.write(whole(200, LINES, b"".join(line + b"\n" for line in lines)))
        await writer.drain()

    async def _stream(self, after: int, writer: asyncio.StreamWriter) -> None:
        writer.write(head_of(200, ("content-type", STREAM), ("transfer-encoding", "chunked")))
        told: bytes | None = None
        self._streams.add(writer)
        while True:
            for seq, raw in enumerate(self._published()[after:], after + 1):
                _chunk(writer, sse("record", raw, f"{self.issuer.epoch}:{seq}"))
                after = seq
            if self.heartbeat is not None and self.heartbeat != told:
                _chunk(writer, sse("heartbeat", self.heartbeat))
                told = self.heartbeat
            await writer.drain()
            async with self._news:
                while len(self._published()) <= after and self.heartbeat == told:
                    await self._news.wait()


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _read_request(raw: bytes) -> Request:
    first, *lines = raw.decode("ascii").split("\r\n")
    method, target, _version = first.split(" ")
    assert method == "GET"
    url = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    return Request(url.path, query, headers)


@contextlib.asynccontextmanager
async def serving(issuer: FakeIssuer, **options: Any) -> AsyncIterator[FeedServer]:
    """A server that runs."""
    server = FeedServer(issuer, **options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
