"""Whether what stands behind an access token is still there, and stays: its session, its user, its clients."""

from typing import Any

from sqlalchemy import Select, select

from ostraka_issuer.store import Transaction
from ostraka_issuer.store.tables import CLIENTS, SESSIONS, USERS
from ostraka_schemas.claims import AccessTokenClaims


async def still_stands(tx: Transaction, claims: AccessTokenClaims, *, beside: str) -> bool:
    """Whether session, user and clients of a token that says ``claims`` are there and not disabled.

    They are kept so until ``tx`` ends. In the order users, clients, sessions, as everyone does.

    Args:
        beside: another client that must be.
    """
    if claims.sid is not None:
        user = await _first(tx, select(USERS.c.disabled).where(USERS.c.id == claims.sub))
        if user is None or user.disabled:
            return False
    for client_id in sorted(clients_of(claims) | {beside}):
        client = await _first(tx, select(CLIENTS.c.disabled).where(CLIENTS.c.id == client_id))
        if client is None or client.disabled:
            return False
    if claims.sid is None:
        return True
    session = await _first(tx, select(SESSIONS).where(SESSIONS.c.id == claims.sid))
    return session is not None and session.ended_at is None and session.user_id == claims.sub


def clients_of(claims: AccessTokenClaims) -> set[str]:
    """All clients that had a hand in a token."""
    actors = () if claims.act is None else tuple(claims.act.chain())
    return {claims.client_id, *(actor.client_id for actor in actors if actor.client_id is not None)}


async def _first(tx: Transaction, query: Select[Any]) -> Any:
    return (await tx.execute(query.with_for_update(read=True))).first()
