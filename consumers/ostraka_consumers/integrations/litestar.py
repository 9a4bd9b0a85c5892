"""A verifier in Litestar: a dependency that gives the caller's grant, and answers for those who have none.

    app = Litestar([create], lifespan=[verifier], plugins=[OstrakaPlugin(verifier)])

    @post("/orders", dependencies={"grant": requires("orders:create")})
    async def create(data: Order, grant: NamedDependency[Grant]) -> ...

Refusals follow RFC 6750 §3 and RFC 9457: 401 without a good token, 403 if it does not allow this, and 503 with
``Retry-After`` while the verifier can vouch for nothing. A WebSocket's handshake is closed with code 1008, or 1013 for
the last; what a handler asks of its grant later and is refused closes it as any error does, with Litestar's 4500.
Neither answer nor log repeats the token. WebSockets and streams end with their grant, as in
``ostraka_consumers.integrations.asgi``.
"""

import math
from typing import Any, Final, cast

from ostraka_consumers.errors import ConfigurationError, VerificationError
from ostraka_consumers.grant import Grant
from ostraka_consumers.protocol import TokenVerifier
from ostraka_consumers.requirements import Requirement
from ostraka_consumers.verifier import Grace

from ._bearer import checked_freshness, requirement_of
from ._http import MEDIA_TYPE, Gate, closing, problem, problem_headers
from ._live import LiveMiddleware

try:
    from litestar import Request, Response
    from litestar.config.app import AppConfig
    from litestar.datastructures import State
    from litestar.di import Provide
    from litestar.enums import ScopeType
    from litestar.exceptions import WebSocketException
    from litestar.plugins import InitPluginProtocol
    from litestar.types import Scope
except ImportError as error:
    raise ImportError('Litestar is missing: pip install "ostraka-consumers[litestar]"') from error

__all__ = ["OstrakaPlugin", "current_grant", "requires"]


class OstrakaPlugin(InitPluginProtocol):
    """Lets an application answer refusals, decide with ``verifier``, and end what outlives its grant.

    Args:
        verifier: decides; the application's lifespan, or whoever made it, starts and stops it.
    """

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier: Final = verifier

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Called by Litestar."""
        app_config.state["verifier"] = self._verifier
        app_config.exception_handlers[VerificationError] = _answer
        app_config.middleware.insert(0, cast("Any", LiveMiddleware))
        return app_config


def requires(*permissions: str | Requirement, max_staleness: float = math.inf, grace: Grace | None = None) -> Provide:
    """A dependency that lets only callers through who have all of ``permissions``, and gives their grant.

    Args:
        permissions: each ``resource:action``, or made by ``all_of`` and ``any_of``.
        max_staleness: seconds without news from the feed that this handler bears, if less than the verifier's own.
        grace: with ``"until_exp"``, let tokens pass until their end while there is no news; see ``Verifier.verify``.

    Raises:
        ConfigurationError: no permission was named, or one is not of the form ``resource:action``, or a bound is none.
            An empty list would let everyone in; for "any good token" there is ``current_grant``.
    """
    return _provide(Gate(requirement_of(permissions), checked_freshness(max_staleness, grace)))


def current_grant() -> Provide:
    """A dependency that gives the grant of whoever has a good token, whatever it allows."""
    return _provide(Gate())


def _provide(gate: Gate) -> Provide:
    async def permitted(scope: Scope, state: State) -> Grant:
        try:
            return gate.admit(_verifier_in(state), cast("Any", scope))
        except VerificationError as refusal:
            if scope["type"] != ScopeType.WEBSOCKET:
                raise
            # Of what ends a WebSocket, Litestar asks only this one for a code.
            message = closing(refusal)
            raise WebSocketException(detail=message["reason"], code=message["code"]) from None

    return Provide(permitted, use_cache=False)


def _verifier_in(state: State) -> TokenVerifier:
    verifier = state.get("verifier")
    if not isinstance(verifier, TokenVerifier):
        raise ConfigurationError("no verifier: give the application plugins=[OstrakaPlugin(verifier)]")
    return verifier


def _answer(_request: "Request[Any, Any, Any]", error: VerificationError) -> "Response[Any]":
    return Response(problem(error), status_code=error.status, headers=problem_headers(error), media_type=MEDIA_TYPE)
