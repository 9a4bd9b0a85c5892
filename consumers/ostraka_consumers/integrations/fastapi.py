"""A verifier in FastAPI: a dependency that gives the caller's grant, and answers for those who have none.

    app = FastAPI(lifespan=lifespan)                      # the lifespan runs: async with verifier: yield
    install(app, verifier)

    @app.post("/orders")
    async def create(grant: Annotated[Grant, Depends(requires("orders:create"))]) -> ...

Refusals follow RFC 6750 §3 and RFC 9457. Neither answer nor log repeats the token.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from ostraka_consumers.errors import ConfigurationError, Malformed, NotReady, Stale, VerificationError
from ostraka_consumers.grant import Grant
from ostraka_consumers.verifier import Verifier

from ._bearer import NoToken, check_requirement

try:
    from fastapi import FastAPI, Request
    from starlette.responses import JSONResponse, Response
except ImportError as error:
    raise ImportError('FastAPI is missing: pip install "ostraka-consumers[fastapi]"') from error

RETRY_AFTER_SECONDS: Final = 5
"""One heartbeat: what ends a 503 of ours is news from the feed."""

_MEDIA_TYPE: Final = "application/problem+json"
_SCHEME: Final = "bearer"


def install(app: FastAPI, verifier: Verifier | None = None) -> None:
    """Let ``app`` answer refusals, and decide with ``verifier``.

    Args:
        verifier: may be left out if ``app.state.verifier`` is set by the lifespan.
    """
    if verifier is not None:
        app.state.verifier = verifier
    app.add_exception_handler(VerificationError, _answer)


def requires(*permissions: str) -> Callable[[Request], Awaitable[Grant]]:
    """A dependency that lets only callers through who have all of ``permissions``, and gives their grant.

    Raises:
        ConfigurationError: no permission was named, or one is not of the form ``resource:action``. An empty list would
            let everyone in; for "any good token" there is ``current_grant``.
    """
    check_requirement(permissions)

    async def permitted(request: Request) -> Grant:
        grant = await current_grant(request)
        for permission in permissions:
            grant.require(permission)
        return grant

    return permitted


async def current_grant(request: Request) -> Grant:
    """A dependency that gives the grant of whoever has a good token.

    Raises:
        VerificationError: the request has none; ``install`` turns it into an answer.
    """
    verifier = getattr(request.app.state, "verifier", None)
    if not isinstance(verifier, Verifier):
        raise ConfigurationError("no verifier: call install(app, verifier), or set app.state.verifier in the lifespan")
    return verifier.verify(_bearer_token(request))


def _bearer_token(request: Request) -> str:
    values = request.headers.getlist("authorization")
    if not values:
        raise NoToken("a bearer token is needed")
    if len(values) > 1:
        raise Malformed("more than one Authorization header")
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != _SCHEME:
        raise NoToken("a bearer token is needed")
    return token.strip(" ")


async def _answer(_request: Request, error: Exception) -> Response:
    if not isinstance(error, VerificationError):
        raise error
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, NotReady | Stale):
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
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
