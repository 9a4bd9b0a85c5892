"""``/admin/revocations``: cut off, and see what was cut off."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from ostraka_consumers.integrations.fastapi import requires
from ostraka_issuer.accounts.actors import Actor
from ostraka_issuer.limits import PAGE_MAX
from ostraka_issuer.revocation import Revoked
from ostraka_issuer.runtime import Issuer
from ostraka_issuer.store.intents import Intent, list_intents
from ostraka_schemas.events import (
    IssuerCutoff,
    KeySetChanged,
    PermissionRevoked,
    RootPublished,
    SessionRevoked,
    TokenClaimsChange,
    TokenRevoked,
)
from ostraka_schemas.limits import ID_MAX_CHARS

from .administration import caller
from .confirm import confirm
from .context import TheIssuer
from .models import (
    ListedRevocation,
    Revocation,
    RevocationDone,
    RevocationList,
    RevokeAll,
    RevokeClient,
    RevokePermission,
    RevokeSession,
    RevokeSubject,
    RevokeToken,
)
from .strict import StrictRoute

router = APIRouter(prefix="/admin/revocations", route_class=StrictRoute)
_NOT_REVOCATIONS = (KeySetChanged.uri, RootPublished.uri)


@router.post("", summary="Revoke")
async def revoke(
    body: Revocation,
    response: Response,
    issuer: TheIssuer,
    by: Annotated[Actor, Depends(caller("revocations:create"))],
) -> RevocationDone:
    """Cut off a token, session, subject, client, permission or everyone. 202: committed, its place will follow."""
    done = await _carry_out(issuer, body, by)
    confirmed = await confirm(issuer, done.txn)
    response.status_code = confirmed.http_status
    return RevocationDone(
        txn=done.txn,
        epoch=confirmed.epoch,
        seq=confirmed.seq,
        published=confirmed.published,
        committed_at=done.committed_at,
        sessions_ended=done.sessions,
        grants_removed=done.grants,
    )


@router.get("", dependencies=[Depends(requires("revocations:read"))], summary="List revocations")
async def list_revocations(
    issuer: TheIssuer,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
    before: Annotated[str | None, Query(min_length=1, max_length=ID_MAX_CHARS)] = None,
) -> RevocationList:
    """The newest revocations, newest first; ``before`` is the ``next`` of the page before."""
    async with issuer.store.read() as tx:
        intents = await list_intents(tx, without=_NOT_REVOCATIONS, before=before, limit=limit)
    more = intents[-1].txn if len(intents) == limit else None
    return RevocationList(revocations=[listed(intent) for intent in intents], next=more)


async def _carry_out(issuer: Issuer, body: Revocation, by: Actor) -> Revoked:
    revocations = issuer.revocations
    match body:
        case RevokeToken():
            return await revocations.token(body.jti, exp=body.exp, reason=body.reason, by=by)
        case RevokeSession():
            return await revocations.session(body.session_id, reason=body.reason, by=by)
        case RevokeSubject():
            return await revocations.subject(body.subject, username=body.username, reason=body.reason, by=by)
        case RevokeClient():
            return await revocations.client(body.client_id, reason=body.reason, by=by)
        case RevokePermission():
            return await revocations.permission(body.permission, reason=body.reason, by=by)
        case RevokeAll():
            return await revocations.everyone(reason=body.reason, by=by)


def listed(intent: Intent) -> ListedRevocation:
    """An intent as the listing shows it."""
    kind, target = _about(intent)
    reasons: dict[str, str] = intent.event.get("reason_admin") or {}
    return ListedRevocation(
        txn=intent.txn,
        epoch=None if intent.position is None else intent.position.epoch,
        seq=None if intent.position is None else intent.position.seq,
        published=intent.published,
        committed_at=intent.committed_at,
        kind=kind,
        target=target,
        reason=next(iter(reasons.values()), None),
    )


def _about(intent: Intent) -> tuple[str, str | None]:
    subject, event = intent.subject, intent.event
    match intent.event_uri:
        case TokenRevoked.uri:
            return "token", subject["jti"]
        case PermissionRevoked.uri:
            return "permission", event["permission"]
        case IssuerCutoff.uri:
            return "all", None
        case SessionRevoked.uri:
            return _cut_off(subject)
        case TokenClaimsChange.uri:
            return "permissions", subject["sub"]
    return intent.event_uri, None


def _cut_off(subject: dict[str, Any]) -> tuple[str, str]:
    if subject["format"] == "iss_sub":
        return "subject", subject["sub"]
    if "session" in subject:
        return "session", subject["session"]["id"]
    return "client", subject["application"]["id"]
