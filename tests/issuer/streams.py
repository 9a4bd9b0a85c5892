"""A reader of server-sent events, straight at the application: no socket, and its end can be held back."""

import asyncio
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Scope

SECONDS = 30.0


class StreamReader:
    """One request for ``/feed/events`` as a stream. While ``taking`` is cleared, it takes nothing of what is sent."""

    def __init__(self, app: ASGIApp, query: str = "", headers: Mapping[str, str] | None = None) -> None:
        self._app = app
        self._query = query
        self._headers = {"accept": "text/event-stream", **(headers or {})}
        self._going = asyncio.Event()
        self._news = asyncio.Event()
        self.taking = asyncio.Event()
        self.taking.set()
        self._asked = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self.ended = False
        self.task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "StreamReader":
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/feed/events",
            "raw_path": b"/feed/events",
            "query_string": self._query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in self._headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("id.example", 80),
        }
        self.task = asyncio.create_task(self._run(scope))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.go()
        assert self.task is not None
        await asyncio.wait_for(asyncio.gather(self.task, return_exceptions=True), SECONDS)

    def go(self) -> None:
        """Go away without a word."""
        self._going.set()

    async def _run(self, scope: Scope) -> None:
        await self._app(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._going.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self.taking.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.chunks.append(message.get("body", b""))
            self.ended = not message.get("more_body", False)
        self._news.set()

    @property
    def text(self) -> bytes:
        """Everything that came."""
        return b"".join(self.chunks)

    def events(self) -> list[tuple[str, str | None, bytes]]:
        """Kind, id and data of every event."""
        return [_event(block) for block in self.text.split(b"\n\n") if block]

    async def until(self, count: int) -> list[tuple[str, str | None, bytes]]:
        """Wait for so many events, and return them."""
        async with asyncio.timeout(SECONDS):
            while len(self.events()) < count:
                self._news.clear()
                await self._news.wait()
        return self.events()

    async def end(self) -> None:
        """Wait for the answer's end."""
        assert self.task is not None
        await asyncio.wait_for(asyncio.shield(self.task), SECONDS)


def _event(block: bytes) -> tuple[str, str | None, bytes]:
    fields = dict(line.split(b": ", 1) for line in block.split(b"\n"))
    assert list(fields) in ([b"id", b"event", b"data"], [b"event", b"data"])
    id_ = fields.get(b"id")
    return fields[b"event"].decode(), None if id_ is None else id_.decode(), fields[b"data"]
