"""``POST /introspect`` (RFC 7662): what has become of a token."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from ostraka_consumers.errors import VerificationError
from ostraka_issuer.errors import IssuerError

from .context import TheIssuer
from .oauth_answers import ANSWERS, answer, form_of, form_parameters, refusal

router = APIRouter()

_PARAMETERS: Final = form_parameters(
    ("token",), "token_type_hint", "client_id", "client_assertion_type", "client_assertion"
)


@router.post("/introspect", summary="Ask what has become of a token", openapi_extra=_PARAMETERS, responses=ANSWERS)
async def introspect(request: Request, issuer: TheIssuer) -> Response:
    """For clients that prove who they are, and for bearers of ``tokens:introspect``. Verifiers need not ask."""
    try:
        form, authorization = await form_of(request)
        members = await issuer.oauth.introspection.introspect(form, authorization)
    except (IssuerError, VerificationError) as error:
        return refusal(error)
    return answer(members)
