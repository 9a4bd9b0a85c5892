"""A name for each request: on its answer, in every line that is logged meanwhile, and in what goes wrong."""

import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..limits import REQUEST_ID_MAX_CHARS

HEADER: Final = "X-Request-ID"
# Nothing that could be taken for something else in a log, a header or an address.
_HARMLESS: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{REQUEST_ID_MAX_CHARS - 1}}}")
_current: Final[ContextVar[str | None]] = ContextVar("ostraka_request_id", default=None)


def current_request_id() -> str | None:
    """The name of the request that is being answered; ``None`` outside of one."""
    return _current.get()


def new_request_id() -> str:
    """A name that nobody else has."""
    return secrets.token_hex(8)


class RequestIds:
    """ASGI middleware: takes the request's ``X-Request-ID`` if it is a short, harmless text, else makes one.

    Args:
        new: makes one.
    """

    def __init__(self, app: ASGIApp, *, new: Callable[[], str] = new_request_id) -> None:
        self._app = app
        self._new = new

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = given_request_id(scope) or self._new()

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = name
            await send(message)

        token = _current.set(name)
        try:
            with structlog.contextvars.bound_contextvars(request_id=name):
                await self._app(scope, receive, named)
        finally:
            _current.reset(token)


def given_request_id(scope: Scope) -> str | None:
    """The name that the caller gave, if there is exactly one and it is harmless."""
    values = Headers(scope=scope).getlist(HEADER)
    return values[0] if len(values) == 1 and _HARMLESS.fullmatch(values[0]) else None
