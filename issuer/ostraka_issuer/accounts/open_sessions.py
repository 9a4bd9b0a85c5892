"""Login sessions, listed."""

from dataclasses import dataclass

from sqlalchemy import select

from ostraka_issuer.limits import SESSION_IDLE, SESSION_TOTAL
from ostraka_issuer.store import Transaction
from ostraka_issuer.store.tables import SESSIONS, USERS

from .names import is_text


@dataclass(frozen=True, slots=True)
class ListedSession:
    """A login session. Times are seconds since the epoch; ``used_at`` is that of the login or the last refresh."""

    id: str
    user_id: str
    username: str
    client_id: str
    audience: tuple[str, ...]
    created_at: float
    used_at: float
    ended_at: float | None
    end_reason: str | None


async def list_sessions(
    tx: Transaction,
    *,
    now: float,
    limit: int,
    after: str | None = None,
    user_id: str | None = None,
    client_id: str | None = None,
    ended: bool = False,
) -> list[ListedSession]:
    """Sessions by id, at most ``limit``.

    Args:
        now: seconds since the epoch.
        after: only those whose ids come later.
        user_id, client_id: only those of that user, through that client.
        ended: also those that have ended or run out.
    """
    if not all(is_text(text) for text in (after, user_id, client_id) if text is not None):
        return []
    query = (
        select(SESSIONS, USERS.c.username)
        .join(USERS, USERS.c.id == SESSIONS.c.user_id)
        .order_by(SESSIONS.c.id)
        .limit(limit)
    )
    wanted = ((SESSIONS.c.user_id, user_id), (SESSIONS.c.client_id, client_id))
    query = query.where(*(column == value for column, value in wanted if value is not None))
    if after is not None:
        query = query.where(SESSIONS.c.id > after)
    if not ended:
        query = query.where(
            SESSIONS.c.ended_at.is_(None),
            SESSIONS.c.used_at >= now - SESSION_IDLE,
            SESSIONS.c.created_at >= now - SESSION_TOTAL,
        )
    return [
        ListedSession(
            id=row.id,
            user_id=row.user_id,
            username=row.username,
            client_id=row.client_id,
            audience=tuple(row.audience),
            created_at=row.created_at,
            used_at=row.used_at,
            ended_at=row.ended_at,
            end_reason=row.end_reason,
        )
        for row in (await tx.execute(query)).all()
    ]
