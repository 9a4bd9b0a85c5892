"""Connections that end with their grant: WebSockets and streams, which outlive the check at their start.

Nothing is watched, and nothing paid, until a connection turns out to be one of those: a WebSocket when it is accepted,
an answer when its first part says that more will come. Then the first grant to end cuts it off: the application is
cancelled, nothing it still says gets out, and the client is told. A WebSocket is closed with 4401 and the reason's
code, or 1013 if only the verifier lost its news; a stream of server-sent events ends where it is; any other answer is
left unfinished, so that the server drops the connection and nobody takes a half for the whole.
"""

import asyncio
from typing import Any, Final

from ostraka_consumers.errors import VerificationError
from ostraka_consumers.grant import Grant
from ostraka_consumers.requirements import Requirement
from ostraka_schemas.errors import OstrakaError

from ._http import LIVE, TRY_AGAIN_LATER, App, Message, Receive, Scope, Send

GRANT_ENDED: Final = 4401
_EVENTS: Final = b"text/event-stream"


class Live:
    """One connection, and what its grants have to do with it."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope: Final = scope
        self._send: Final = send
        self._grants: list[tuple[Grant, Requirement | None]] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._cut: Final = asyncio.timeout(None)
        self._flows = self._over = self._has_events = False
        self._why: OstrakaError | None = None

    def watch(self, grant: Grant, requirement: Requirement | None) -> None:
        """Let the connection end with ``grant``, or once it allows ``requirement`` no more; if it lasts so long."""
        self._grants.append((grant, requirement))
        if self._flows:
            self._begin(grant, requirement)

    async def run(self, app: App, receive: Receive) -> None:
        """Let ``app`` have the connection, until it ends it or a grant does."""
        self._scope[LIVE] = self
        try:
            # A timeout that nobody set, but for a grant: it knows its own cancellation from everybody else's.
            async with self._cut:
                await app(self._scope, receive, self._pass)
        except TimeoutError:
            if self._why is None:
                raise
        finally:
            await self._stop()
        if self._why is not None and not self._over:
            await self._end(self._why)

    async def _pass(self, message: Message) -> None:
        if self._why is not None:
            return
        kind = message["type"]
        if kind == "http.response.start":
            self._has_events = _is_of_events(message)
        elif kind in ("websocket.close", "websocket.http.response.body"):
            self._over = True
        elif kind == "http.response.body":
            self._over = not message.get("more_body", False)
        if not self._over and not self._flows and kind in ("websocket.accept", "http.response.body"):
            self._flows = True
            for grant, requirement in self._grants:
                self._begin(grant, requirement)
        await self._send(message)

    def _begin(self, grant: Grant, requirement: Requirement | None) -> None:
        self._watchers.append(asyncio.create_task(self._wait(grant, requirement), name="ostraka live grant"))

    async def _wait(self, grant: Grant, requirement: Requirement | None) -> None:
        why: OstrakaError
        try:
            ending = await (grant.ended() if requirement is None else grant.ended(requirement))
            why = ending.error()
        except OstrakaError as error:
            why = error  # it cannot be watched, so nobody would know
        if self._why is None and not self._over:
            self._why = why
            self._cut.reschedule(0)

    async def _stop(self) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        if self._watchers:
            await asyncio.gather(*self._watchers, return_exceptions=True)

    async def _end(self, why: OstrakaError) -> None:
        if not isinstance(why, VerificationError):
            raise why  # a mistake of ours: the server drops the connection, and says so where mistakes are seen
        if self._scope["type"] == "websocket":
            code = TRY_AGAIN_LATER if why.status == 503 else GRANT_ENDED
            await self._send({"type": "websocket.close", "code": code, "reason": why.code})
        elif self._has_events:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


class LiveMiddleware:
    """Gives every connection that is let through by a ``Gate`` further in an end with its grant."""

    def __init__(self, app: Any) -> None:  # each framework has a type of its own for it
        self._app: Final[App] = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or LIVE in scope:
            await self._app(scope, receive, send)
        else:
            await Live(scope, send).run(self._app, receive)


def _is_of_events(start: Message) -> bool:
    headers = start.get("headers", ())
    return any(name.lower() == b"content-type" and value.lower().startswith(_EVENTS) for name, value in headers)
