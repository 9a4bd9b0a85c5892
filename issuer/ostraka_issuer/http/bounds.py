"""A bound on request bodies: how large, and how long they may take to arrive."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ostraka_issuer.limits import BODY_MAX_BYTES, BODY_SECONDS

from .problems import problem


class BodyBound:
    """ASGI middleware: reads the body first, whole, and refuses what is too large (413) or too slow (408)."""

    def __init__(self, app: ASGIApp, *, max_bytes: int = BODY_MAX_BYTES, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds):
                body = await self._read(receive)
        except TimeoutError:
            answer = problem(408, "request_timeout", f"the body took longer than {self._seconds:.0f} s", headers=_CLOSE)
            await answer(scope, receive, send)
            return
        except _TooLarge:
            answer = problem(413, "too_large", f"a request body has at most {self._max_bytes} bytes", headers=_CLOSE)
            await answer(scope, receive, send)
            return
        if body is None:
            return
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | None:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None  # the client has gone
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                raise _TooLarge
            if not message.get("more_body", False):
                return bytes(body)


class _TooLarge(Exception):
    pass


_CLOSE = {"Connection": "close"}


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
