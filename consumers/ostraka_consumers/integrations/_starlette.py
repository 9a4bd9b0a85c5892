"""What Starlette and FastAPI share: the application's verifier, and how a refusal raised in a route is answered."""

from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketState

from ostraka_consumers.errors import ConfigurationError, VerificationError
from ostraka_consumers.protocol import TokenVerifier

from ._http import MEDIA_TYPE, closing, problem, problem_headers, takes_an_answer
from ._live import LiveMiddleware


def install(app: Starlette, verifier: TokenVerifier | None = None) -> None:
    """Let ``app`` answer refusals, decide with ``verifier``, and end what outlives its grant.

    Args:
        verifier: may be left out if ``app.state.verifier`` is set by the lifespan.

    Raises:
        RuntimeError: the application is running already.
    """
    if verifier is not None:
        app.state.verifier = verifier
    app.add_middleware(LiveMiddleware)
    # One handler for both kinds of connection, for which Starlette has no type.
    app.add_exception_handler(VerificationError, cast("Any", _answer))


def verifier_of(connection: HTTPConnection) -> TokenVerifier:
    """The verifier of the application that ``connection`` came to.

    Raises:
        ConfigurationError: there is none.
    """
    verifier = getattr(connection.app.state, "verifier", None)
    if not isinstance(verifier, TokenVerifier):
        raise ConfigurationError("no verifier: call install(app, verifier), or set app.state.verifier in the lifespan")
    return verifier


async def _answer(connection: HTTPConnection, error: Exception) -> Response | None:
    if not isinstance(error, VerificationError):
        raise error
    if isinstance(connection, WebSocket) and not _takes_an_answer(connection):
        message = closing(error)
        await connection.close(message["code"], message["reason"])
        return None
    return JSONResponse(problem(error), error.status, problem_headers(error), MEDIA_TYPE)


def _takes_an_answer(websocket: WebSocket) -> bool:
    """Whether the handshake can still be answered like any request, and the server knows how."""
    return websocket.application_state is WebSocketState.CONNECTING and takes_an_answer(websocket.scope)
