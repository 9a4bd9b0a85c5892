"""HTTP as far as the source needs it, from a server that is not trusted: GET only, and everything has an end.

httpx's transport is used without its client: a client would follow what the server says about cookies, redirects,
proxies and compression. Headers are bounded by h11 (100 KiB).
"""

import asyncio
import contextlib
import math
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import httpx

from ostraka_consumers import limits

from ._http_policy import HttpTiming

_CONNECTING: Final = "connection.connect_tcp.started"
_BROKEN: Final = (httpx.HTTPError, OSError)
"""What a connection may end with: anyio hands an ``ssl.SSLError``, which is an OSError, through as it is."""
_SECONDS: Final = re.compile(r"[0-9]{1,6}\Z")


class Unavailable(Exception):
    """No usable answer. The message is for people and holds nothing that the server said.

    Attributes:
        retry_after: seconds of patience the server asked for.
        status: of its answer, if there was one.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, status: int | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. ``kind`` is its media type, without parameters."""

    status: int
    kind: str
    body: bytes


class Opened:
    """An answer whose body is still to come."""

    def __init__(self, response: httpx.Response) -> None:
        self._chunks: Final = aiter(response.stream)  # type: ignore[arg-type]
        self.status: Final = response.status_code
        self.kind: Final = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        etag = response.headers.get("etag", "")
        self.etag: Final = etag if 0 < len(etag) <= limits.HTTP_ETAG_CHARS and etag.isascii() else None
        asked = response.headers.get("retry-after", "")
        self.retry_after: Final = float(asked) if _SECONDS.match(asked) else None

    async def next(self) -> bytes | None:
        """The next bytes of the body, as they came; ``None`` after the last.

        Raises:
            Unavailable: it was cut off, or is no HTTP.
        """
        try:
            return await anext(self._chunks, None)
        except _BROKEN as error:
            raise Unavailable(explain(error)) from error

    async def whole(self, most: int) -> bytes:
        """The rest of the body.

        Raises:
            Unavailable: as ``next``, or it is larger than ``most``.
        """
        body = bytearray()
        while (chunk := await self.next()) is not None:
            body += chunk
            if len(body) > most:
                raise Unavailable("the server's answer is larger than any that is asked for")
        return bytes(body)

    def expect(self, status: int, kind: str) -> None:
        """Check what came.

        Raises:
            Unavailable: it is something else.
        """
        if self.status != status:
            hint = "; redirects are not followed" if 300 <= self.status < 400 else ""
            raise Unavailable(
                f"the server answers {self.status}{hint}", retry_after=self.retry_after, status=self.status
            )
        if self.kind != kind:
            raise Unavailable(f"the server answers with another content type than {kind}", status=self.status)


class Paced:
    """Turns at most so often: whoever comes too early waits."""

    def __init__(self, every: float, clock: Callable[[], float]) -> None:
        self._every: Final = every
        self._clock: Final = clock
        self._next = -math.inf

    async def turn(self) -> None:
        """Wait for one's turn and take it."""
        now = self._clock()
        pause, self._next = max(0.0, self._next - now), max(now, self._next) + self._every
        if pause:
            await asyncio.sleep(pause)


class Web:
    """One server. Use as a context; it closes its connections.

    Args:
        base: checked; paths are put behind it.
        ssl_context: with which it is reached, if by ``https``.
        timing: how patient to be.
        clock: seconds, monotonic.
    """

    def __init__(
        self, base: str, *, ssl_context: ssl.SSLContext, timing: HttpTiming, clock: Callable[[], float]
    ) -> None:
        self._base: Final = base.rstrip("/")
        self._timing: Final = timing
        self._connections: Final = Paced(timing.connect_every, clock)
        self._transport: Final = httpx.AsyncHTTPTransport(
            verify=ssl_context, limits=httpx.Limits(max_connections=2, max_keepalive_connections=1)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._transport.aclose()

    async def get(self, path: str, *, accept: str, most: int) -> Answer:
        """Fetch something small: 200 with what was asked for, or any other status.

        Raises:
            Unavailable: no answer in time, or a success that is too large or of another kind.
        """
        try:
            async with (
                asyncio.timeout(self._timing.answer_max + self._timing.connect_every),
                self.open(path, accept=accept) as opened,
            ):
                if opened.status == 200:
                    opened.expect(200, accept)
                body = await opened.whole(most if opened.status == 200 else limits.HTTP_ERROR_BYTES)
                return Answer(opened.status, opened.kind, body)
        except TimeoutError as error:
            raise Unavailable("the server does not answer in time") from error

    @contextlib.asynccontextmanager
    async def open(
        self, path: str, *, accept: str, patience: float = 0.0, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Opened]:
        """Ask for something and wait for the answer to begin; afterwards the connection is free or closed.

        Args:
            patience: seconds for which the server may hold the answer back, on top of the usual.

        Raises:
            Unavailable: it does not begin in time, or is encoded.
        """
        request = httpx.Request(
            "GET",
            self._base + path,
            headers={
                "accept": accept,
                # What is compressed could be any size once it is not.
                "accept-encoding": "identity",
                "user-agent": "ostraka-verifier",
                **(headers or {}),
            },
            extensions={
                "timeout": {"connect": self._timing.connect_max, "write": self._timing.answer_max},
                "trace": self._trace,
            },
        )
        response = await self._begin(request, self._timing.answer_max + self._timing.connect_every + patience)
        try:
            if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
                raise Unavailable("the server compresses its answer, though asked not to")
            yield Opened(response)
        finally:
            await response.aclose()

    async def _begin(self, request: httpx.Request, within: float) -> httpx.Response:
        try:
            async with asyncio.timeout(within):
                return await self._transport.handle_async_request(request)
        except TimeoutError as error:
            raise Unavailable("the server does not answer in time") from error
        except _BROKEN as error:
            raise Unavailable(explain(error)) from error

    async def _trace(self, event: str, _details: Mapping[str, Any]) -> None:
        if event == _CONNECTING:
            await self._connections.turn()


def new_ssl_context(url: str) -> ssl.SSLContext:
    """The usual certificates for ``https``, read from disk; none where nothing is encrypted."""
    return httpx.create_ssl_context() if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def explain(error: Exception) -> str:
    """What went wrong, in words of ours: httpx's may repeat what the server sent."""
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return f"cannot connect{_certificate(error)}"
    if isinstance(error, httpx.TimeoutException):
        return "the server does not answer in time"
    if isinstance(error, httpx.RemoteProtocolError):
        return "the server breaks off, or what it sends is no HTTP"
    return f"the connection broke{_certificate(error)}"


def _certificate(error: BaseException | None) -> str:
    for _ in range(8):  # httpx wraps what httpcore wraps
        if isinstance(error, ssl.SSLCertVerificationError):
            return f": its certificate is not accepted ({error.verify_message})"
        if isinstance(error, ssl.SSLError):
            return ": TLS failed"
        error = None if error is None else error.__cause__ or error.__context__
    return ""
