"""Servers that lie, break off, never end or never begin: the source stays within bounds, says what it sees, and is
back as soon as the server is honest."""

import asyncio
import contextlib
import gzip
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import httpx
import pytest
import pytest_asyncio

from ostraka_consumers import limits
from ostraka_consumers.errors import ConfigurationError
from ostraka_consumers.sources import HttpSource
from ostraka_consumers.trust.receipt import Receipt
from ostraka_schemas.limits import RECORD_MAX_BYTES, SNAPSHOT_PART_MAX_BYTES
from tests.consumers.sources.feed_server import (
    JWS,
    LINES,
    ROOT,
    STREAM,
    FeedServer,
    Request,
    Route,
    answers,
    head_of,
    serving,
    sse,
    whole,
)
from tests.consumers.sources.knowing import BRISK, KnowingSink, running
from tests.consumers.sources.recording import eventually
from tests.kafka.secured import Certificates, make_certificates
from tests.support.fake_issuer import FakeIssuer

CHUNKED = ("transfer-encoding", "chunked")


def source_of(server: FeedServer) -> HttpSource:
    return HttpSource(server.url, timing=replace(BRISK, answer_max=0.3, snapshot_max=0.5, poll_max=0.5))


def endless(head: bytes, piece: Callable[[int], bytes], pause: float = 0.0) -> Route:
    """Sends pieces until the client goes away."""

    async def route(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        number = 0
        while not writer.is_closing():
            writer.write(piece(number))
            await writer.drain()
            number += 1
            await asyncio.sleep(pause)

    return route


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


async def nothing(request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


STREAM_HEAD = head_of(200, ("content-type", STREAM), CHUNKED)
LINES_HEAD = head_of(200, ("content-type", LINES), CHUNKED)

EVENTS: dict[str, tuple[Route, str]] = {
    "never answers": (nothing, "does not answer in time"),
    "hangs up": (answers(b"", close=True), "breaks off"),
    "is no HTTP": (answers(b"SSH-2.0-OpenSSH_9.9\r\n", close=True), "breaks off, or what it sends is no HTTP"),
    "drips its headers": (endless(b"HTTP/1.1 200 OK\r\n", lambda n: b"x", 0.01), "does not answer in time"),
    "headers without end": (endless(b"HTTP/1.1 200 OK\r\n", lambda n: b"x: y\r\n" * 1_000), "no HTTP"),
    "one header without end": (endless(b"HTTP/1.1 200 OK\r\nx: ", lambda n: b"y" * 1_000), "no HTTP"),
    "only preliminary answers": (endless(b"", lambda n: b"HTTP/1.1 103 Early\r\n\r\n"), "does not answer in time"),
    "redirects": (
        answers(whole(302, LINES, b"", ("location", "http://127.0.0.1:9/feed/events"))),
        "the server answers 302; redirects are not followed",
    ),
    "another type": (answers(whole(200, "text/html", b"<html>log in</html>")), "another content type"),
    "no type": (answers(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx"), "another content type"),
    "forbidden": (answers(whole(403, LINES, b"go away" * 10_000)), "the server answers 403"),
    "compressed": (
        answers(whole(200, STREAM, gzip.compress(b"data: x\n\n" * 1_000_000), ("content-encoding", "gzip"))),
        "compresses its answer",
    ),
    "a stream that ends": (answers(whole(200, STREAM, b"")), "ended the stream"),
    "breaks off in the middle": (answers(STREAM_HEAD + b"ffff\r\ndata: x", close=True), "breaks off"),
    "wrong chunks": (answers(STREAM_HEAD + b"zz\r\n", close=True), "no HTTP"),
    "a line without end": (endless(STREAM_HEAD, lambda n: chunk(b"x" * 10_000)), "a line of more than"),
    "an event without end": (endless(STREAM_HEAD, lambda n: chunk(b"id: 1\n")), "an event larger than any"),
    "a flood of nothing": (endless(STREAM_HEAD, lambda n: chunk(b":\n" * 1_000)), "too much that is known"),
    "a flood of garbage": (
        endless(STREAM_HEAD, lambda n: chunk(b"".join(sse("record", b"%d" % (n * 50 + m)) for m in range(50)))),
        "too much that is known",
    ),
}


@pytest.mark.parametrize("name", EVENTS)
async def test_what_a_server_may_do_to_who_follows(server: FeedServer, sink: KnowingSink, name: str) -> None:
    route, words = EVENTS[name]
    server.routes["/feed/events"] = route
    async with running(source_of(server), sink):
        await sink.says(words)
        del server.routes["/feed/events"]
        await sink.has(2)
    assert all(len(raw) <= RECORD_MAX_BYTES for raw in sink.delivered)
    assert all(len(state) < 200 for state in sink.states)


POLLS: dict[str, tuple[Route, str]] = {
    "a line without end": (endless(LINES_HEAD, lambda n: chunk(b"x" * 10_000)), "a line of more than"),
    "a flood of empty lines": (endless(LINES_HEAD, lambda n: chunk(b"\n" * 1_000)), "too much that is known"),
    "an answer that drips": (endless(LINES_HEAD, lambda n: chunk(b"x"), 0.02), "does not answer in time"),
    "another type": (answers(whole(200, "text/html", b"x")), "another content type"),
    "never answers": (nothing, "does not answer in time"),
}


@pytest.mark.parametrize("name", POLLS)
async def test_what_a_server_may_do_to_who_polls(server: FeedServer, sink: KnowingSink, name: str) -> None:
    route, words = POLLS[name]

    async def only_polls(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.headers["accept"] == STREAM:
            writer.write(whole(406, LINES, b""))
        else:
            await route(request, writer)

    server.routes["/feed/events"] = only_polls
    timing = replace(BRISK, answer_max=0.3, poll_max=0.5, poll_wait=0, incomplete_max=600.0)
    source = HttpSource(server.url, timing=timing)
    async with running(source, sink):
        await sink.says(words)
        del server.routes["/feed/events"]
        await sink.has(2)


@pytest.mark.parametrize(
    "route",
    [
        answers(whole(200, LINES, b"x" * (SNAPSHOT_PART_MAX_BYTES + 1) + b"\n")),
        answers(whole(200, "text/html", b"x")),
        answers(whole(200, LINES, b"one\ntwo\nthree\n")),
        answers(LINES_HEAD + b"ffff\r\npart", close=True),
        answers(whole(302, LINES, b"", ("location", "http://127.0.0.1:9/"))),
        answers(whole(503, LINES, b"", ("retry-after", "99999"))),
        answers(whole(200, LINES, gzip.compress(bytes(1_000)), ("content-encoding", "gzip"))),
        endless(LINES_HEAD, lambda n: chunk(b"x"), 0.02),
        endless(LINES_HEAD, lambda n: chunk(b"part %d\n" % n)),
        answers(head_of(304)),
    ],
)
async def test_no_snapshot_is_no_failure(server: FeedServer, sink: KnowingSink, route: Route) -> None:
    server.routes["/feed/snapshot"] = route
    sink.wants_snapshot = True
    async with running(source_of(server), sink):
        await sink.has(2)
    assert sink.states == ["connecting", "reading"]
    assert len(sink.delivered) < 20


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (answers(whole(200, ROOT, b"x" * 100_000)), "larger than any"),
        (answers(whole(200, JWS, b"{}")), "another content type"),
        (answers(whole(404, ROOT, b"x" * 100_000)), "larger than any"),
        (nothing, "does not answer in time"),
    ],
)
async def test_root_documents_that_are_none(server: FeedServer, sink: KnowingSink, route: Route, words: str) -> None:
    server.routes["/feed/root/"] = route
    sink.wants_snapshot = True
    async with running(source_of(server), sink):
        await sink.says(words)
        del server.routes["/feed/root/"]
        await sink.has(2)


async def test_root_documents_without_end(server: FeedServer, sink: KnowingSink) -> None:
    server.routes["/feed/root/"] = answers(whole(200, ROOT, b'{"another": 1}'))
    sink.wants_snapshot = True
    async with running(HttpSource(server.url, timing=replace(BRISK, roots_max=0.3)), sink):
        await sink.has(2)


async def test_nothing_that_a_server_sends_is_kept(server: FeedServer, sink: KnowingSink) -> None:
    cookie = ("set-cookie", "id=" + "x" * 4_000)
    server.routes["/feed/head"] = answers(whole(200, JWS, b"a.b.c", cookie, ("etag", '"' + "x" * 5_000 + '"')))
    server.routes["/feed/events"] = answers(whole(200, STREAM, b"", cookie))
    async with running(source_of(server), sink):
        await eventually(lambda: len(server.asked("/feed/head")) >= 3)
    assert all("cookie" not in request.headers for request in server.requests)


class ForgetfulSink(KnowingSink):
    def deliver(self, raw: bytes) -> Receipt:
        receipt = super().deliver(raw)
        self.delivered.clear()
        return receipt


async def test_a_hostile_flood_does_not_grow_the_memory(server: FeedServer, sink: KnowingSink) -> None:
    server.routes["/feed/events"] = endless(STREAM_HEAD, lambda n: chunk(sse("record", b"x" * 60_000)))

    forgetful = ForgetfulSink(server)
    tracemalloc.start()
    try:
        async with running(source_of(server), forgetful):
            await eventually(lambda: forgetful.states.count("connecting") >= 2)
            _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 2,048 times 60 kB went through it.
    assert peak < 20_000_000


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def tls_server(certificates: Certificates) -> AsyncIterator[FeedServer]:
    issuer = FakeIssuer()
    issuer.open()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.broker)
    async with serving(issuer, ssl_context=context) as server:
        await server.beat()
        yield server


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


async def test_tls_with_an_authority_of_ones_own(tls_server: FeedServer, certificates: Certificates) -> None:
    sink = KnowingSink(tls_server)
    context = ssl.create_default_context(cafile=certificates.authority)
    async with running(HttpSource(tls_server.url, timing=BRISK, ssl_context=context), sink):
        await sink.has(2)


async def test_a_certificate_of_a_stranger_is_not_accepted(tls_server: FeedServer) -> None:
    sink = KnowingSink(tls_server)
    async with running(HttpSource(tls_server.url, timing=BRISK), sink):
        await sink.says("cannot connect: its certificate is not accepted")
    assert tls_server.requests == []


async def test_a_certificate_of_another_host_is_not_accepted(
    tls_server: FeedServer, certificates: Certificates
) -> None:
    sink = KnowingSink(tls_server)
    context = ssl.create_default_context(cafile=certificates.authority)
    url = tls_server.url.replace("127.0.0.1", "localhost")
    async with running(HttpSource(url, timing=BRISK, ssl_context=context), sink):
        await sink.says("cannot connect: its certificate is not accepted")


@contextlib.asynccontextmanager
async def wiretapped(port: int) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """The URL of a proxy before a TLS server, and an event that makes it change one byte of what it passes on."""
    change = asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()

    async def up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)

    async def down(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if change.is_set():
                change.clear()
                data = data[:-1] + bytes([data[-1] ^ 1])
            writer.write(data)

    async def passing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        both = {asyncio.create_task(up(reader, there_writer)), asyncio.create_task(down(there_reader, writer))}
        tasks.update(both)
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        writer.transport.abort()
        there_writer.transport.abort()

    proxy = await asyncio.start_server(passing, "127.0.0.1", 0)
    try:
        yield f"https://127.0.0.1:{proxy.sockets[0].getsockname()[1]}", change
    finally:
        proxy.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_changed_byte_costs_one_connection(tls_server: FeedServer, certificates: Certificates) -> None:
    sink = KnowingSink(tls_server)
    context = ssl.create_default_context(cafile=certificates.authority)
    async with (
        wiretapped(tls_server.port) as (url, change),
        running(HttpSource(url, timing=BRISK, ssl_context=context), sink),
    ):
        await sink.has(2)
        change.set()
        await tls_server.beat()
        await sink.says("the connection broke: TLS failed")
        tls_server.issuer.cut_subject("alice")
        await tls_server.beat()
        await sink.has(3)


@pytest.mark.parametrize("surprise", [ZeroDivisionError("a secret"), asyncio.CancelledError(), OSError("a secret")])
async def test_whatever_the_http_client_raises_it_is_asked_again(
    server: FeedServer, sink: KnowingSink, monkeypatch: pytest.MonkeyPatch, surprise: BaseException
) -> None:
    left = 3
    genuine = httpx.AsyncHTTPTransport.handle_async_request

    async def surprising(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        nonlocal left
        left -= 1
        if left >= 0:
            raise surprise
        return await genuine(self, request)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", surprising)
    async with running(source_of(server), sink):
        await sink.has(2)
    assert sum(state.startswith("waiting: ") for state in sink.states) == 3
    assert "secret" not in "".join(sink.states)


# --- what was configured ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "id.example",
        "ftp://id.example",
        "file:///etc/passwd",
        "https://",
        "https://:443",
        "https://id.example:0",
        "https://id.example:99999",
        "https://id.example:x",
        "https://id.example/?x=1",
        "https://id.example/#x",
        "https://[::1",
        "https://id.example/a b",
        "https://id.example/\r\nhost: other",
        "https://müller.example",
        "https://user:hidden@id.example",
        "ftp://user:hidden@id.example",
    ],
)
def test_urls_that_cannot_be_meant(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        HttpSource(url)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("path", ["", "/", "/auth", "/auth/"])
async def test_an_issuer_below_a_path(server: FeedServer, sink: KnowingSink, path: str) -> None:
    async with running(HttpSource(server.url + path, timing=BRISK), sink):
        await eventually(lambda: len(server.requests) >= 1)
    assert server.requests[0].path == path.rstrip("/") + "/feed/head"


def test_limits_fit_together() -> None:
    assert limits.HTTP_POLL_BYTES > 2 * RECORD_MAX_BYTES
    assert limits.HTTP_POLL_WAIT + limits.HTTP_ANSWER_MAX <= limits.SOURCE_SILENCE_MAX
