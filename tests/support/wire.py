"""An HTTP client that costs next to nothing, for loading a server on the same cores: one connection, kept alive."""

import asyncio
import json
import time
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

ANSWER_SECONDS: Final = 30.0
IDLE_SECONDS: Final = 2.0
"""The issuer closes a connection after five; one that was idle for this long is made anew."""

FORM: Final = "application/x-www-form-urlencoded"


class Answer(NamedTuple):
    """What came back: status, headers by name in small letters, and the JSON object."""

    status: int
    headers: dict[str, str]
    content: dict[str, Any]


class Wire:
    """Posts over one connection. Use as an asynchronous context manager.

    Args:
        url: of the server, without a path.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used = 0.0

    async def __aenter__(self) -> "Wire":
        await self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._streams is not None:
            self._streams[1].close()

    async def form(self, path: str, fields: dict[str, str], authorization: str = "") -> Answer:
        """Post a form."""
        return await self.post(path, FORM, urlencode(fields).encode(), authorization)

    async def login(self, username: str, password: str) -> Answer:
        """Log in."""
        return await self.post(
            "/login", "application/json", json.dumps({"username": username, "password": password}).encode()
        )

    async def post(self, path: str, media_type: str, body: bytes, authorization: str = "") -> Answer:
        """Post a body."""
        reader, writer = await self._connect()
        credentials = f"Authorization: {authorization}\r\n" if authorization else ""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n{credentials}"
            f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        async with asyncio.timeout(ANSWER_SECONDS):
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
            content: dict[str, Any] = json.loads(await reader.readexactly(int(headers["content-length"])))
        self._used = time.monotonic()
        return Answer(int(first.split(" ", 2)[1]), headers, content)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None:
            if time.monotonic() < self._used + IDLE_SECONDS:
                return self._streams
            self._streams[1].close()
        self._streams = await asyncio.open_connection(self._host, self._port)
        self._used = time.monotonic()
        return self._streams
