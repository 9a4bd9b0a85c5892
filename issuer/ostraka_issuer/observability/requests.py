"""One look at each request: its route, its status, how long it took. For the log, the metrics and the traces.

What stands in the address beyond the route is never kept: it may be a name, and behind the question mark anything.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("ostraka.access")

UNMATCHED: Final = "unmatched"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Asked every few seconds by machines; they are counted all the same.
_PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})


@dataclass(slots=True)
class Request:
    """A request as it is watched.

    Attributes:
        method: ``other`` if it is none of the usual ones.
        route: the template of its route, such as ``/admin/keys/{kid}``; ``unmatched`` if there is none.
        status: of the answer; 0 while there is none, and for ever if the client went away before.
        answered: whether the answer was sent whole.
        seconds: how long that took.
    """

    method: str
    route: str = UNMATCHED
    status: int = 0
    answered: bool = False
    seconds: float = 0.0


Around = Callable[[Scope, Request], AbstractContextManager[None]]
"""Entered before the request is handled, left when ``Request`` says everything about it."""


def nothing_around(_scope: Scope, _request: Request) -> AbstractContextManager[None]:
    """Nobody wants to know."""
    return nullcontext()


class RequestWatch:
    """ASGI middleware: tells of every request when it has been answered, and writes a line about it.

    Args:
        ended: called with each.
        around: a context that each is handled in.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        ended: Callable[[Request], None],
        around: Around = nothing_around,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._app = app
        self._ended = ended
        self._around = around
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope["method"] if scope["method"] in _METHODS else "other")
        began = self._clock()

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                request.answered = True

        with self._around(scope, request):
            try:
                await self._app(scope, receive, watched)
            except Exception as error:
                # Starlette raises again what it has answered, for the server to log it: too late to name the request.
                if not request.answered:
                    raise
                _log.error("%s %s failed", request.method, route_of(scope), exc_info=error)
            finally:
                request.route = route_of(scope)
                request.seconds = self._clock() - began
                self._ended(request)
                _write(request)


def route_of(scope: Scope) -> str:
    """The template of the route that was found for a request that has been handled."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else UNMATCHED


def _write(request: Request) -> None:
    level = logging.DEBUG if request.route in _PROBES and request.status < 400 else logging.INFO
    _log.log(
        level,
        "%s %s %s",
        request.method,
        request.route,
        request.status or "(no answer)",
        extra={
            "method": request.method,
            "route": request.route,
            "status": request.status,
            "seconds": round(request.seconds, 6),
        },
    )
