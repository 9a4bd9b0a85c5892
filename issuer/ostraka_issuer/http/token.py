"""``POST /token`` (RFC 6749 §3.2): the grants of ``oauth.grants`` behind a form."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from ostraka_consumers.errors import VerificationError
from ostraka_issuer.accounts.clients import TOKEN_EXCHANGE
from ostraka_issuer.errors import IssuerError

from .context import TheIssuer
from .oauth_answers import ANSWERS, answer, form_of, form_parameters, refusal

router = APIRouter()

_SHORT: Final[dict[str, str]] = {TOKEN_EXCHANGE: "token_exchange"}

_PARAMETERS: Final = form_parameters(
    ("grant_type",),
    "refresh_token",
    "scope",
    "audience",
    "subject_token",
    "subject_token_type",
    "requested_token_type",
    "client_id",
    "client_assertion_type",
    "client_assertion",
)


@router.post("/token", summary="Get tokens", openapi_extra=_PARAMETERS, responses=ANSWERS)
async def token(request: Request, issuer: TheIssuer) -> Response:
    """Use a refresh token once, get a token for a client itself, or exchange a token for a narrower one."""
    try:
        form, authorization = await form_of(request)
        issued = await issuer.oauth.token(form, authorization)
        grant = form.require("grant_type")
        issuer.happenings.token(_SHORT.get(grant, grant))
    except (IssuerError, VerificationError) as error:
        return refusal(error)
    return answer(issued.members())
