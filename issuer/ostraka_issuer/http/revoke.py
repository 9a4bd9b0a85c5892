"""``POST /revoke`` (RFC 7009) and ``POST /logout``: their owners end tokens and sessions."""

from typing import Final

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from ostraka_consumers.errors import VerificationError
from ostraka_issuer.errors import IssuerError

from .confirm import confirm
from .context import TheIssuer
from .oauth_answers import ANSWERS, answer, bearer_of, form_of, form_parameters, refusal

router = APIRouter()

_PARAMETERS: Final = form_parameters(
    ("token",), "token_type_hint", "client_id", "client_assertion_type", "client_assertion"
)


class LoggedOut(BaseModel):
    """A session that has ended: its place in the feed, as for a revocation; ``txn`` is ``null`` if it had ended before.

    ``committed_at`` is seconds since the epoch.
    """

    txn: str | None
    epoch: int | None = None
    seq: int | None = None
    published: bool = False
    committed_at: float


@router.post("/revoke", summary="Revoke a token of the client that asks", openapi_extra=_PARAMETERS, responses=ANSWERS)
async def revoke(request: Request, issuer: TheIssuer) -> Response:
    """200 also for tokens that are not known or have ended: they are revoked already (RFC 7009 §2.2)."""
    try:
        form, authorization = await form_of(request)
        await issuer.oauth.endings.revoke(form, authorization)
    except (IssuerError, VerificationError) as error:
        return refusal(error)
    return answer({})


@router.post("/logout", summary="End the caller's session")
async def logout(request: Request, response: Response, issuer: TheIssuer) -> LoggedOut:
    """End the session of the access token that is sent as bearer token, with its refresh and access tokens."""
    ended = await issuer.oauth.endings.logout(bearer_of(request))
    response.headers["Cache-Control"] = "no-store"
    if ended.txn is None:
        return LoggedOut(txn=None, committed_at=ended.committed_at)
    confirmed = await confirm(issuer, ended.txn)
    response.status_code = confirmed.http_status
    return LoggedOut(
        txn=ended.txn,
        epoch=confirmed.epoch,
        seq=confirmed.seq,
        published=confirmed.published,
        committed_at=ended.committed_at,
    )
