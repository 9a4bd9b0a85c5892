"""A verifier in Starlette: endpoints get the caller's grant, and those who have none get an answer.

    app = Starlette(routes=[Route("/orders", create)], lifespan=lifespan)  # runs: async with verifier: yield
    install(app, verifier)

    @requires("orders:create")
    async def create(request: Request, grant: Grant) -> Response: ...

Refusals follow RFC 6750 §3 and RFC 9457: 401 without a good token, 403 if it does not allow this, and 503 with
``Retry-After`` while the verifier can vouch for nothing. A WebSocket's handshake is answered the same way if the server
can, else it is closed with code 1008, or 1013 for the last. Neither answer nor log repeats the token. WebSockets and
streams end with their grant, as in ``ostraka_consumers.integrations.asgi``, which guards whole applications.
"""

import math
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeVar

from ostraka_consumers.grant import Grant
from ostraka_consumers.requirements import Requirement
from ostraka_consumers.verifier import Grace

from ._bearer import checked_freshness, requirement_of
from ._http import Gate

try:
    from starlette.requests import HTTPConnection

    from ._starlette import install, verifier_of
except ImportError as error:
    raise ImportError('Starlette is missing: pip install "ostraka-consumers[starlette]"') from error

__all__ = ["current_grant", "install", "requires"]

C = TypeVar("C", bound=HTTPConnection)
T = TypeVar("T")


def requires(
    *permissions: str | Requirement, max_staleness: float = math.inf, grace: Grace | None = None
) -> Callable[[Callable[[C, Grant], Awaitable[T]]], Callable[[C], Awaitable[T]]]:
    """Decorates an endpoint, a coroutine function of the request or WebSocket and the grant of whoever may pass.

    Args:
        permissions: each ``resource:action``, or made by ``all_of`` and ``any_of``. All are needed.
        max_staleness: seconds without news from the feed that this endpoint bears, if less than the verifier's own.
        grace: with ``"until_exp"``, let tokens pass until their end while there is no news; see ``Verifier.verify``.

    Raises:
        ConfigurationError: no permission was named, or one is not of the form ``resource:action``, or a bound is none.
            An empty list would let everyone in; for "any good token" there is ``current_grant``.
    """
    gate = Gate(requirement_of(permissions), checked_freshness(max_staleness, grace))

    def decorate(endpoint: Callable[[C, Grant], Awaitable[T]]) -> Callable[[C], Awaitable[T]]:
        @wraps(endpoint)
        async def guarded(connection: C) -> T:
            return await endpoint(connection, gate.admit(verifier_of(connection), connection.scope))

        return guarded

    return decorate


def current_grant(connection: HTTPConnection) -> Grant:
    """The grant of whoever has a good token, whatever it allows.

    Raises:
        VerificationError: there is no good token; ``install`` turns it into an answer.
    """
    return Gate().admit(verifier_of(connection), connection.scope)
