"""The server's side of one ASGI connection, in memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ostraka_consumers.integrations._http import App, Message

RawHeaders = Sequence[tuple[bytes, bytes]]
PATIENCE = 10.0


class Connection:
    """What an application was told on it, and what it has sent so far."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.told: asyncio.Queue[Message] = asyncio.Queue()
        self.finished: asyncio.Task[Any] | None = None
        self._changed = asyncio.Condition()

    async def send(self, message: Message) -> None:
        async with self._changed:
            self.sent.append(message)
            self._changed.notify_all()

    async def until_sent(self, count: int) -> None:
        """Wait until the application has sent ``count`` messages, or has ended."""
        assert self.finished is not None
        async with asyncio.timeout(PATIENCE), self._changed:
            while len(self.sent) < count:
                await self._changed.wait()

    async def until_over(self) -> None:
        """Wait until the application has done with it."""
        assert self.finished is not None
        await asyncio.wait_for(asyncio.shield(self.finished), PATIENCE)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


@asynccontextmanager
async def connected(
    app: App, path: str, headers: RawHeaders = (), *, websocket: bool = False, denial: bool = True
) -> AsyncIterator[Connection]:
    """Connect to ``app``; at the end the client is gone, and the application must be too."""
    connection = Connection()
    connection.told.put_nowait({"type": "websocket.connect"} if websocket else {"type": "http.request", "body": b""})
    scope: dict[str, Any] = {
        "type": "websocket" if websocket else "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws" if websocket else "http",
        **({} if websocket else {"method": "GET"}),
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"orders.example"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("orders.example", 80),
        "subprotocols": [],
        "state": {},
        "extensions": {"websocket.http.response": {}} if denial else {},
    }
    task = connection.finished = asyncio.ensure_future(_serve(app, scope, connection))
    try:
        yield connection
    finally:
        connection.told.put_nowait({"type": "websocket.disconnect" if websocket else "http.disconnect", "code": 1001})
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(task, return_exceptions=True)
        finally:
            task.cancel()


async def _serve(app: App, scope: dict[str, Any], connection: Connection) -> None:
    await app(scope, connection.told.get, connection.send)
