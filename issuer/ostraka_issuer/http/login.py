"""``POST /login``: user name and password for tokens."""

from fastapi import APIRouter, Response

from ostraka_issuer.errors import IssuerError
from ostraka_issuer.sessions.service import Issued

from .context import TheIssuer
from .models import Login, Tokens
from .strict import StrictRoute

router = APIRouter(route_class=StrictRoute)


@router.post("/login", summary="Log in with user name and password")
async def login(body: Login, response: Response, issuer: TheIssuer) -> Tokens:
    """Open a session. 401 does not say whether name or password was wrong; 429 means too many at once."""
    try:
        issued = await issuer.sessions.login(
            body.username, body.password.get_secret_value(), client_id=body.client_id, audience=body.audience
        )
    except IssuerError as error:
        issuer.happenings.login(error.code)
        raise
    issuer.happenings.login("accepted")
    issuer.happenings.token("password")
    response.headers["Cache-Control"] = "no-store"
    return tokens(issued)


def tokens(issued: Issued) -> Tokens:
    """The body of the answer (RFC 6749 §5.1)."""
    return Tokens(
        access_token=issued.access_token,
        expires_in=issued.expires_in,
        refresh_token=issued.refresh_token,
        session_id=issued.session_id,
    )
