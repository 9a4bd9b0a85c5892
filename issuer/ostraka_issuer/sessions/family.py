"""What a refresh has to know of a session, read by one statement: so all of it is of one moment.

It holds nothing. Where a refresh changes something, the change itself insists that the session is as it was read; and
whatever ends the access of a user or a client ends the session, too, or leaves its place in the feed behind the token.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BindParameter, Row, bindparam, select, true

from ostraka_issuer.accounts.holdings import held_by, held_in
from ostraka_issuer.keys.schedule import CALLED_ACTIVE
from ostraka_issuer.store import Store
from ostraka_issuer.store.intents import NEWEST
from ostraka_issuer.store.keys import KEYS, TokenKeyRow, key_of
from ostraka_issuer.store.tables import CLIENTS, SESSIONS, TOKEN_KEYS, USERS
from ostraka_schemas.records import Position

from .rotation import Family
from .tokens import Content

_HEAD: Final = NEWEST.subquery("head")
# As parameters these would have the query planned anew each time, which takes longer than to carry it out.
_MAY_SIGN: Final[BindParameter[str]] = bindparam("states", CALLED_ACTIVE, expanding=True, literal_execute=True)
_KEYS: Final = KEYS.where(TOKEN_KEYS.c.state.in_(_MAY_SIGN)).subquery("key")
_QUERY: Final = (
    select(
        SESSIONS,
        USERS.c.disabled.label("user_disabled"),
        CLIENTS.c.disabled.label("client_disabled"),
        CLIENTS.c.auth_method,
        CLIENTS.c.grant_types,
        *held_by(SESSIONS.c.user_id),
        _HEAD.c.epoch,
        _HEAD.c.seq,
        *(column.label(f"key_{column.name}") for column in _KEYS.c),
    )
    .join(USERS, USERS.c.id == SESSIONS.c.user_id)
    .join(CLIENTS, CLIENTS.c.id == SESSIONS.c.client_id)
    .outerjoin(_HEAD, true())
    .outerjoin(_KEYS, true())
    .where(SESSIONS.c.id == bindparam("session_id"))
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A session with everything around it.

    Attributes:
        family: its refresh tokens.
        content: what its next token says.
        runs: whether session, user and client have not ended and are not disabled.
        auth_method, grant_types: the client's.
        position: where the feed ends; ``None`` if it is empty.
        keys: token keys, those that may be the one that signs.
    """

    family: Family
    content: Content
    runs: bool
    auth_method: str
    grant_types: tuple[str, ...]
    position: Position | None
    keys: tuple[TokenKeyRow, ...]


async def look(store: Store, session_id: str) -> Standing | None:
    """The session of that id, if it, its user and its client are there.

    Raises:
        StoreUnavailable
    """
    rows = await store.ask(_QUERY, {"session_id": session_id})
    if not rows:
        return None
    row = rows[0]
    return Standing(
        family=family_of(row),
        content=_content(row),
        runs=row.ended_at is None and not row.user_disabled and not row.client_disabled,
        auth_method=row.auth_method,
        grant_types=tuple(row.grant_types),
        position=None if row.seq is None else Position(row.epoch, row.seq),
        keys=tuple(key_of(each, "key_") for each in rows if each.key_kid is not None),
    )


def family_of(row: "Row[Any]") -> Family:
    """The refresh tokens of a session, from its row."""
    return Family(int(row.generation), row.created_at, row.used_at, row.rotated_at)


def _content(row: "Row[Any]") -> Content:
    return Content(
        subject=row.user_id,
        client_id=row.client_id,
        audience=tuple(row.audience),
        permissions=held_in(row),
        session_id=row.id,
        auth_time=row.auth_time,
    )
