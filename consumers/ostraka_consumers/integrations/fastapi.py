"""A verifier in FastAPI: a dependency that gives the caller's grant, and answers for those who have none.

    app = FastAPI(lifespan=lifespan)                      # the lifespan runs: async with verifier: yield
    install(app, verifier)

    @app.post("/orders")
    async def create(grant: Annotated[Grant, Depends(requires("orders:create"))]) -> ...

Refusals follow RFC 6750 §3 and RFC 9457: 401 without a good token, 403 if it does not allow this, and 503 with
``Retry-After`` while the verifier can vouch for nothing. A WebSocket's handshake is answered the same way if the server
can, else it is closed with code 1008, or 1013 for the last. Neither answer nor log repeats the token.
"""

import math
from http import HTTPStatus
from typing import Any, Final, cast

from ostraka_consumers import limits
from ostraka_consumers.errors import ConfigurationError, Malformed, NotReady, Stale, VerificationError
from ostraka_consumers.grant import Grant
from ostraka_consumers.verifier import Grace, Verifier

from ._bearer import AS_EVER, Freshness, NoToken, check_requirement, checked_freshness

try:
    from fastapi import FastAPI
    from fastapi.openapi.models import HTTPBearer
    from fastapi.security.base import SecurityBase
    from starlette.requests import HTTPConnection
    from starlette.responses import JSONResponse, Response
    from starlette.websockets import WebSocket, WebSocketState
except ImportError as error:
    raise ImportError('FastAPI is missing: pip install "ostraka-consumers[fastapi]"') from error

__all__ = ["Requirement", "current_grant", "install", "requires"]

_MEDIA_TYPE: Final = "application/problem+json"
_SCHEME: Final = "bearer"
_POLICY_VIOLATION: Final = 1008
_TRY_AGAIN_LATER: Final = 1013


def install(app: FastAPI, verifier: Verifier | None = None) -> None:
    """Let ``app`` answer refusals, and decide with ``verifier``.

    Args:
        verifier: may be left out if ``app.state.verifier`` is set by the lifespan.
    """
    if verifier is not None:
        app.state.verifier = verifier
    # One handler for both kinds of connection, for which Starlette has no type.
    app.add_exception_handler(VerificationError, cast("Any", _answer))


class Requirement(SecurityBase):
    """A dependency that gives the grant of whoever may pass. Made by ``requires``; OpenAPI shows it as bearer token."""

    def __init__(self, permissions: tuple[str, ...] = (), freshness: Freshness = AS_EVER) -> None:
        self.model = HTTPBearer(bearerFormat="JWT")
        self.scheme_name = "Bearer"
        self._permissions = permissions
        self._freshness = freshness

    # A coroutine: FastAPI runs dependencies that are none in a thread.
    async def __call__(self, connection: HTTPConnection) -> Grant:
        """Return the grant.

        Raises:
            VerificationError: there is no good token, or it does not allow this; ``install`` turns it into an answer.
        """
        verifier = getattr(connection.app.state, "verifier", None)
        if not isinstance(verifier, Verifier):
            raise ConfigurationError(
                "no verifier: call install(app, verifier), or set app.state.verifier in the lifespan"
            )
        max_staleness, grace = self._freshness
        grant = verifier.verify(_bearer_token(connection), max_staleness=max_staleness, grace=grace)
        for permission in self._permissions:
            grant.require(permission)
        return grant

    def __repr__(self) -> str:
        return f"requires({', '.join(map(repr, self._permissions))})" if self._permissions else "current_grant"


def requires(*permissions: str, max_staleness: float = math.inf, grace: Grace | None = None) -> Requirement:
    """A dependency that lets only callers through who have all of ``permissions``, and gives their grant.

    Args:
        permissions: each ``resource:action``.
        max_staleness: seconds without news from the feed that this route bears, if less than the verifier's own.
        grace: with ``"until_exp"``, let tokens pass until their end while there is no news: for routes that would
            rather serve somebody who was cut off meanwhile than nobody. Each is counted; none while the feed is in
            doubt.

    Raises:
        ConfigurationError: no permission was named, or one is not of the form ``resource:action``, or a bound is none.
            An empty list would let everyone in; for "any good token" there is ``current_grant``.
    """
    check_requirement(permissions)
    return Requirement(permissions, checked_freshness(max_staleness, grace))


current_grant: Final = Requirement()
"""A dependency that gives the grant of whoever has a good token, whatever it allows."""


def _bearer_token(connection: HTTPConnection) -> str:
    values = connection.headers.getlist("authorization")
    if not values:
        raise NoToken("a bearer token is needed")
    if len(values) > 1:
        raise Malformed("more than one Authorization header")
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != _SCHEME:
        raise NoToken("a bearer token is needed")
    return token.strip(" ")


async def _answer(connection: HTTPConnection, error: Exception) -> Response | None:
    if not isinstance(error, VerificationError):
        raise error
    if isinstance(connection, WebSocket) and not _takes_an_answer(connection):
        code = _TRY_AGAIN_LATER if isinstance(error, NotReady | Stale) else _POLICY_VIOLATION
        await connection.close(code, error.code)
        return None
    return _problem(error)


def _takes_an_answer(websocket: WebSocket) -> bool:
    """Whether the handshake can still be answered like any request, and the server knows how."""
    open_yet = websocket.application_state is not WebSocketState.CONNECTING
    return not open_yet and "websocket.http.response" in websocket.scope.get("extensions", {})


def _problem(error: VerificationError) -> Response:
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, NotReady | Stale):
        headers["Retry-After"] = str(limits.RETRY_AFTER)
    else:
        headers["WWW-Authenticate"] = error.www_authenticate
    content = {
        "type": f"urn:ostraka:problem:{error.code}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "code": error.code,
        "detail": str(error),
    }
    return JSONResponse(content, error.status, headers, _MEDIA_TYPE)
