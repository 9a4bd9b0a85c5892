"""A verifier in front of any ASGI application: what it serves, it serves to whoever has a good token.

    app = OstrakaMiddleware(app, verifier, requires="orders:create", unguarded=lambda scope: scope["path"] == "/health")

    async def app(scope, receive, send):
        grant = grant_of(scope)

Whoever makes the verifier starts and stops it, around the server or in the application's lifespan. Refusals follow RFC
6750 §3 and RFC 9457: 401 without a good token, 403 if it does not allow this, and 503 with ``Retry-After`` while the
verifier can vouch for nothing. A WebSocket's handshake is answered the same way if the server can, else it is closed
with code 1008, or 1013 for the last. Neither answer nor log repeats the token.

A WebSocket or a stream ends with its grant: revoked, expired, or without news for too long, the application is
cancelled and the WebSocket closed with code 4401 (1013 for the last); server-sent events end, and any other answer is
cut off unfinished. A handler that works for long before it answers at all says so itself: ``async with
grant.watched()``.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

from ostraka_consumers.errors import ConfigurationError, VerificationError
from ostraka_consumers.grant import Grant
from ostraka_consumers.protocol import TokenVerifier
from ostraka_consumers.requirements import Requirement
from ostraka_consumers.verifier import Grace

from ._bearer import checked_freshness, requirement_or_none
from ._http import App, Gate, Receive, Scope, Send, refuse
from ._live import LiveMiddleware

__all__ = ["OstrakaMiddleware", "grant_of"]

_GRANT: Final = "ostraka.grant"


class OstrakaMiddleware:
    """Lets requests and WebSockets through that have a good token. Pure ASGI.

    Args:
        app: what is guarded.
        verifier: decides; whoever made it starts and stops it.
        requires: what every caller must be allowed; left out, any good token will do.
        max_staleness: seconds without news from the feed that this application bears, if less than the verifier's own.
        grace: with ``"until_exp"``, accept tokens until their end while there is no news; see ``Verifier.verify``.
        unguarded: tells which connections anybody may have, by their scope; none by default.

    Raises:
        ConfigurationError: ``requires`` is empty or no permission, or a bound is none.
    """

    def __init__(
        self,
        app: App,
        verifier: TokenVerifier,
        *,
        requires: str | Requirement | Sequence[str | Requirement] | None = None,
        max_staleness: float = math.inf,
        grace: Grace | None = None,
        unguarded: Callable[[Scope], bool] = lambda _scope: False,
    ) -> None:
        self._app: Final = app
        self._verifier: Final = verifier
        self._gate: Final = Gate(requirement_or_none(requires), checked_freshness(max_staleness, grace))
        self._unguarded: Final = unguarded
        self._guarded: Final = LiveMiddleware(self._admit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Called by the server for each connection, and for the application's life."""
        if scope["type"] == "lifespan" or self._unguarded(scope):
            await self._app(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope[_GRANT] = self._gate.admit(self._verifier, scope)
        except VerificationError as refusal:
            await refuse(refusal, scope, send)
            return
        await self._app(scope, receive, send)


def grant_of(scope: Scope) -> Grant:
    """The grant of whoever made the connection.

    Raises:
        ConfigurationError: no ``OstrakaMiddleware`` guards it.
    """
    grant = scope.get(_GRANT)
    if not isinstance(grant, Grant):
        raise ConfigurationError("no grant here: put an OstrakaMiddleware in front of the application")
    return grant
