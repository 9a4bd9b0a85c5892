"""``/admin/audit``: who changed what."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from ostraka_issuer.audit import entries
from ostraka_schemas.limits import SEQ_MAX

from .administration import TheAdministration, caller
from .models_accounts import AuditBody, AuditList, Cursor, Limit

router = APIRouter(prefix="/admin/audit", tags=["audit"])


@router.get("", dependencies=[Depends(caller("audit:read"))], summary="Read the audit trail")
async def list_(
    administration: TheAdministration,
    limit: Annotated[Limit, Query()] = 50,
    after: Annotated[int | None, Query(ge=1, le=SEQ_MAX)] = None,
    actor: Annotated[Cursor | None, Query()] = None,
    action: Annotated[Cursor | None, Query()] = None,
    target: Annotated[Cursor | None, Query()] = None,
) -> AuditList:
    """Changes, newest first; only those by ``actor``, of kind ``action``, to ``target``."""
    async with administration.store.read() as tx:
        found = await entries(tx, actor=actor, action=action, target=target, before=after, limit=limit)
    bodies = [AuditBody(**asdict(entry)) for entry in found]
    return AuditList(entries=bodies, next=str(found[-1].id) if len(found) == limit else None)
