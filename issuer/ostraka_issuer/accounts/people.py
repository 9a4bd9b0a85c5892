"""Users as they are kept, found and listed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Row, Select, case, select

from ostraka_issuer.errors import NotFound
from ostraka_issuer.store import Transaction
from ostraka_issuer.store.tables import USER_PERMISSIONS, USER_ROLES, USERS

from .holders import holdings_of
from .names import is_text, spellings


@dataclass(frozen=True, slots=True)
class User:
    """A user.

    Attributes:
        id: ``sub`` of the user's tokens.
        permissions: what was granted to the user directly.
        roles: names of the user's roles.
        effective: what the user may do, by grants and by roles.
        password_changed_at: seconds since the epoch; ``None`` if it is still the first one.
    """

    id: str
    username: str
    permissions: tuple[str, ...]
    disabled: bool
    created_at: float
    roles: tuple[str, ...] = ()
    effective: tuple[str, ...] = ()
    password_changed_at: float | None = None


def by_name(query: "Select[Any]", username: str) -> "Select[Any]":
    """``query``, a SELECT from the users, for the one user of that name; rather as it was given than composed anew."""
    names = spellings(username)
    rank = case({name: number for number, name in enumerate(names)}, value=USERS.c.username)
    return query.where(USERS.c.username.in_(names)).order_by(rank).limit(1)


async def find_user(
    tx: Transaction, *, username: str | None = None, user_id: str | None = None, for_update: bool = False
) -> User:
    """The user of that name or id.

    Args:
        for_update: hold the user, against whoever is about to mint: they wait, or have finished (``FOR UPDATE``).

    Raises:
        NotFound: there is none.
    """
    named = user_id if username is None else username
    if named is None or not is_text(named):
        raise NotFound("there is no such user")
    query = select(USERS).where(USERS.c.id == user_id) if username is None else by_name(select(USERS), username)
    row = (await tx.execute(query.with_for_update() if for_update else query)).first()
    if row is None:
        raise NotFound("there is no such user")
    return (await _users(tx, [row]))[0]


async def list_users(
    tx: Transaction, *, limit: int, after: str | None = None, username: str | None = None, role: str | None = None
) -> list[User]:
    """Users by name, at most ``limit``.

    Args:
        after: only those whose names come later.
        username: only the user of that name.
        role: only those with that role.
    """
    query = select(USERS)
    if after is not None:
        query = query.where(USERS.c.username > after)
    if username is not None:
        query = by_name(query, username)
    if role is not None:
        query = query.where(USERS.c.id.in_(select(USER_ROLES.c.user_id).where(USER_ROLES.c.role == role)))
    if not all(is_text(text) for text in _given(after, username, role)):
        return []
    query = query.limit(limit) if username is not None else query.order_by(USERS.c.username).limit(limit)
    return await _users(tx, (await tx.execute(query)).all())


def _given(*texts: str | None) -> Iterable[str]:
    return (text for text in texts if text is not None)


async def _users(tx: Transaction, rows: Sequence["Row[Any]"]) -> list[User]:
    ids = [row.id for row in rows]
    granted = await _by_user(tx, USER_PERMISSIONS.c.user_id, USER_PERMISSIONS.c.permission, ids)
    roles = await _by_user(tx, USER_ROLES.c.user_id, USER_ROLES.c.role, ids)
    effective = await holdings_of(tx, ids)
    return [
        User(
            id=row.id,
            username=row.username,
            permissions=granted.get(row.id, ()),
            disabled=bool(row.disabled),
            created_at=row.created_at,
            roles=roles.get(row.id, ()),
            effective=effective[row.id],
            password_changed_at=row.password_changed_at,
        )
        for row in rows
    ]


async def _by_user(
    tx: Transaction, user: "Column[str]", held: "Column[str]", ids: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for user_id, each in (await tx.execute(select(user, held).where(user.in_(ids)))).all():
        found.setdefault(user_id, []).append(each)
    return {user_id: tuple(sorted(each)) for user_id, each in found.items()}
