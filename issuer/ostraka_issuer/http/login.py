"""``POST /login``: user name and password for tokens."""

from fastapi import APIRouter, Request, Response

from ostraka_issuer.errors import IssuerError
from ostraka_issuer.oauth.forms import Form
from ostraka_issuer.sessions.service import Issued

from .addresses import caller_address
from .context import TheIssuer
from .models import Login, Tokens
from .strict import StrictRoute

router = APIRouter(route_class=StrictRoute)


@router.post("/login", summary="Log in with user name and password")
async def login(body: Login, request: Request, response: Response, issuer: TheIssuer) -> Tokens:
    """Open a session. 401 does not say whether name or password was wrong; 429 means too many; wait as it says.

    A client that has a secret sends it in the ``Authorization`` header.
    """
    client_id, proven = body.client_id, False
    authorization = request.headers.get("authorization")
    if authorization is not None:
        known = await issuer.oauth.clients.authenticate(Form({"client_id": [client_id or ""]}), authorization)
        client_id, proven = known.client.id, known.proven
    try:
        issued = await issuer.sessions.login(
            body.username,
            body.password.get_secret_value(),
            client_id=client_id,
            proven=proven,
            audience=body.audience,
            address=caller_address(request, issuer.settings.trusted_proxies),
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
