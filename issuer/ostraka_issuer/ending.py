"""The end of login sessions: in the database, and in the feed by the same commit."""

from sqlalchemy import ColumnElement, update

from ostraka_schemas.events import InitiatingEntity, SessionRevoked
from ostraka_schemas.subjects import Complex, IssSub, Opaque

from .store import Transaction
from .store.intents import add_intent
from .store.tables import SESSIONS


async def revoke_session(
    tx: Transaction,
    *,
    issuer: str,
    user_id: str,
    session_id: str,
    txn: str,
    now: float,
    reason: str | None,
    initiating_entity: InitiatingEntity = "admin",
) -> int:
    """End a session and write the intent that says so, in the caller's transaction. Returns how many ended: 0 or 1."""
    ended = await end_sessions(tx, SESSIONS.c.id == session_id, now=now, reason=reason)
    about = Complex(user=IssSub(iss=issuer, sub=user_id), session=Opaque(id=session_id))
    told = None if reason is None else {"en": reason}
    event = SessionRevoked(event_timestamp=int(now), initiating_entity=initiating_entity, reason_admin=told)
    await add_intent(tx, txn=txn, subject=about, event=event, now=now)
    return ended


async def end_sessions(tx: Transaction, which: ColumnElement[bool], *, now: float, reason: str | None) -> int:
    """End the sessions that ``which`` selects and that still run; returns how many. Nothing is published."""
    done = await tx.execute(
        update(SESSIONS)
        .where(which, SESSIONS.c.ended_at.is_(None))
        .values(ended_at=now, end_reason=reason or "revoked")
    )
    return int(done.rowcount)
