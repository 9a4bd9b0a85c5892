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
from typing import Final

from ostraka_consumers import requirements
from ostraka_consumers.grant import Grant
from ostraka_consumers.verifier import Grace

from ._bearer import checked_freshness, requirement_of
from ._http import Gate

try:
    from fastapi.openapi.models import HTTPBearer
    from fastapi.security.base import SecurityBase
    from starlette.requests import HTTPConnection

    from ._starlette import install, verifier_of
except ImportError as error:
    raise ImportError('FastAPI is missing: pip install "ostraka-consumers[fastapi]"') from error

__all__ = ["Requirement", "current_grant", "install", "requires"]


class Requirement(SecurityBase):
    """A dependency that gives the grant of whoever may pass. Made by ``requires``; OpenAPI shows it as bearer token."""

    def __init__(self, gate: Gate | None = None) -> None:
        self.model = HTTPBearer(bearerFormat="JWT")
        self.scheme_name = "Bearer"
        self._gate = gate or Gate()

    # A coroutine: FastAPI runs dependencies that are none in a thread.
    async def __call__(self, connection: HTTPConnection) -> Grant:
        """Return the grant.

        Raises:
            VerificationError: there is no good token, or it does not allow this; ``install`` turns it into an answer.
        """
        return self._gate.admit(verifier_of(connection), connection.scope)

    @property
    def permissions(self) -> requirements.Requirement | None:
        """What it asks for; ``None`` if any good token will do."""
        return self._gate.requirement

    def __repr__(self) -> str:
        return "current_grant" if self.permissions is None else f"requires({self.permissions})"


def requires(
    *permissions: str | requirements.Requirement, max_staleness: float = math.inf, grace: Grace | None = None
) -> Requirement:
    """A dependency that lets only callers through who have all of ``permissions``, and gives their grant.

    Args:
        permissions: each ``resource:action``, or made by ``all_of`` and ``any_of``.
        max_staleness: seconds without news from the feed that this route bears, if less than the verifier's own.
        grace: with ``"until_exp"``, let tokens pass until their end while there is no news: for routes that would
            rather serve somebody who was cut off meanwhile than nobody. Each is counted; none while the feed is in
            doubt.

    Raises:
        ConfigurationError: no permission was named, or one is not of the form ``resource:action``, or a bound is none.
            An empty list would let everyone in; for "any good token" there is ``current_grant``.
    """
    return Requirement(Gate(requirement_of(permissions), checked_freshness(max_staleness, grace)))


current_grant: Final = Requirement()
"""A dependency that gives the grant of whoever has a good token, whatever it allows."""
