"""The audit trail: who changed what, written by the commit of the change itself. Nothing in it is ever altered.

It names people, clients, permissions and reasons; never a password, a secret or a token.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select

from .accounts.names import is_text
from .store import Transaction
from .store.tables import AUDIT


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change.

    Attributes:
        at: seconds since the epoch.
        actor: ``sub`` of the caller, or how the command line is called.
        action: what was done, such as ``user.disable``.
        target: id or name of what it was done to.
        txn: names the announcement on the feed, if it narrowed access; the last one if there are several.
    """

    id: int
    at: float
    actor: str
    action: str
    target: str | None
    details: Mapping[str, Any]
    txn: str | None


async def record(
    tx: Transaction,
    *,
    at: float,
    actor: str,
    action: str,
    target: str | None = None,
    details: Mapping[str, Any] | None = None,
    txn: str | None = None,
) -> None:
    """Write an entry, in the transaction of what it tells. Members of ``details`` that are ``None`` are left out."""
    told = {name: value for name, value in (details or {}).items() if value is not None}
    await tx.execute(insert(AUDIT).values(at=at, actor=actor, action=action, target=target, details=told, txn=txn))


async def is_spent(tx: Transaction, holder_id: str) -> bool:
    """Whether a user or a client of that id was deleted: the trail, and older tokens, still mean that one by it."""
    query = select(AUDIT.c.id).where(AUDIT.c.target == holder_id, AUDIT.c.action.in_(("user.delete", "client.delete")))
    return (await tx.execute(query.limit(1))).first() is not None


async def entries(
    tx: Transaction,
    *,
    actor: str | None = None,
    action: str | None = None,
    target: str | None = None,
    before: int | None = None,
    limit: int,
) -> list[AuditEntry]:
    """The newest entries, newest first.

    Args:
        actor, action, target: only these.
        before: only entries older than the one of this id.
    """
    query = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
    if not all(is_text(text) for text in (actor, action, target) if text is not None):
        return []
    wanted = ((AUDIT.c.actor, actor), (AUDIT.c.action, action), (AUDIT.c.target, target))
    query = query.where(*(column == value for column, value in wanted if value is not None))
    if before is not None:
        query = query.where(AUDIT.c.id < before)
    return [AuditEntry(*row) for row in (await tx.execute(query)).all()]
