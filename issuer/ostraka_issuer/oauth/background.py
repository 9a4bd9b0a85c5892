"""Who asks about a token, and what stands behind it, by the database: read together, by one statement.

The verifier decides by the feed. The database may know of an end that has no place in the feed yet.
"""

from typing import Any, Final

from sqlalchemy import Row, bindparam, select

from ostraka_issuer.accounts.clients import Client, client_of
from ostraka_issuer.accounts.names import is_text
from ostraka_issuer.store import Store
from ostraka_issuer.store.tables import CLIENTS, SESSIONS, USERS
from ostraka_schemas.claims import AccessTokenClaims

from .standing import clients_of

_QUERY: Final = (
    select(
        CLIENTS,
        USERS.c.username,
        USERS.c.disabled.label("user_disabled"),
        SESSIONS.c.user_id.label("session_of"),
        SESSIONS.c.ended_at,
    )
    .select_from(CLIENTS)
    .outerjoin(USERS, USERS.c.id == bindparam("user"))
    .outerjoin(SESSIONS, SESSIONS.c.id == bindparam("session"))
    .where(CLIENTS.c.id.in_(bindparam("clients", expanding=True)))
)


class Background:
    """What the database knows about one request for a token. It is asked when something is first needed, at most twice.

    Args:
        claims: what the token says, verified or not; ``None`` if it is none that says anything.
    """

    def __init__(self, store: Store, claims: AccessTokenClaims | None) -> None:
        self._store = store
        self._claims = claims if claims is not None and _is_askable(claims) else None
        self._rows: dict[str, Row[Any]] | None = None

    async def find(self, client_id: str) -> Client | None:
        """The client of that id, which asks; disabled or not.

        Raises:
            StoreUnavailable
        """
        row = (await self._ask(client_id)).get(client_id)
        return None if row is None else client_of(row)

    async def stands(self) -> bool:
        """Whether session, user and clients of the token are there and not disabled.

        Raises:
            StoreUnavailable
        """
        claims = self._claims
        if claims is None:
            return False
        rows = await self._ask() if self._rows is None else self._rows
        wanted = [rows.get(client_id) for client_id in clients_of(claims)]
        if any(row is None or row.disabled for row in wanted):
            return False
        row = rows[claims.client_id]
        if claims.sid is None:
            return True
        return row.user_disabled is False and row.session_of == claims.sub and row.ended_at is None

    @property
    def username(self) -> str | None:
        """The name of the token's user, if ``stands`` and it has one."""
        row = None if self._rows is None else next(iter(self._rows.values()), None)
        return None if row is None else row.username

    async def _ask(self, *beside: str) -> "dict[str, Row[Any]]":
        claims = self._claims
        wanted = {*beside, *(() if claims is None else clients_of(claims))}
        user, session = (None, None) if claims is None else (claims.sub, claims.sid)
        values = {"user": user, "session": session, "clients": sorted(wanted)}
        self._rows = {row.id: row for row in await self._store.ask(_QUERY, values)}
        return self._rows


def _is_askable(claims: AccessTokenClaims) -> bool:
    """Whether the database could have such ids. A token that is not verified may say anything."""
    return all(map(is_text, (claims.sub, claims.sid or "-", *clients_of(claims))))
