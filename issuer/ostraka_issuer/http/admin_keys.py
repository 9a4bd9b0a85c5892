"""``/admin/keys``: the token keys, their rotation, and what to do when one leaks."""

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi import Path as InPath

from ostraka_consumers.integrations.fastapi import requires
from ostraka_issuer.accounts.actors import Actor
from ostraka_issuer.keys.changes import KeyChange
from ostraka_issuer.keys.schedule import choose_signer
from ostraka_issuer.runtime import Issuer
from ostraka_schemas.limits import KID_MAX_CHARS

from .administration import caller
from .confirm import confirm
from .context import TheIssuer
from .models import Compromise, KeyChanged, KeyList, ListedKey, Rotation
from .strict import StrictRoute

router = APIRouter(prefix="/admin/keys", route_class=StrictRoute)
_log = logging.getLogger("ostraka.keys")
Kid = Annotated[str, InPath(min_length=1, max_length=KID_MAX_CHARS)]


@router.get("", dependencies=[Depends(requires("keys:read"))], summary="List token keys")
async def list_keys(issuer: TheIssuer) -> KeyList:
    """All token keys ever made, oldest first."""
    rows = await issuer.keys.rows()
    signer = choose_signer(rows, issuer.clock.now().wall)
    return KeyList(
        keys=[
            ListedKey(
                kid=row.kid,
                alg=row.alg,
                state=row.state,
                state_at=row.state_at,
                nbf=row.nbf,
                exp=row.exp,
                max_token_lifetime=row.max_token_lifetime,
                created_at=row.created_at,
                announced=row.announced_at is not None,
                signs=signer is not None and signer.kid == row.kid,
            )
            for row in rows
        ]
    )


@router.post("/rotate", summary="Publish a successor")
async def rotate(
    response: Response,
    issuer: TheIssuer,
    by: Annotated[Actor, Depends(caller("keys:rotate"))],
    body: Rotation | None = None,
) -> KeyChanged:
    """Publish the next token key now; it signs after ``lead`` seconds."""
    change = await issuer.keys.rotate(None if body is None else body.lead, by=by.id)
    issuer.keeper.nudge()
    return await _answer(issuer, change, response)


@router.post("/{kid}/compromise", summary="Call a key compromised")
async def compromise(
    kid: Kid,
    response: Response,
    issuer: TheIssuer,
    by: Annotated[Actor, Depends(caller("keys:compromise"))],
    body: Compromise | None = None,
) -> KeyChanged:
    """From now on whatever the key signed is refused. If it was the active one, a new one takes its place."""
    change = await issuer.keys.compromise(kid, by=by.id, reason=body.reason if body else None)
    issuer.keeper.nudge()
    _log.warning("token key %s is compromised: %s", kid, (body and body.reason) or "no reason given")
    return await _answer(issuer, change, response)


async def _answer(issuer: Issuer, change: KeyChange, response: Response) -> KeyChanged:
    confirmed = await confirm(issuer, change.txn)
    response.status_code = confirmed.http_status
    successor = change.successor
    return KeyChanged(
        txn=change.txn,
        epoch=confirmed.epoch,
        seq=confirmed.seq,
        published=confirmed.published,
        committed_at=change.committed_at,
        kid=change.kid,
        signs_with=None if successor is None else successor.kid,
        signs_from=None if successor is None else successor.nbf,
    )
