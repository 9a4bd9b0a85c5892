"""Roles: permissions under a name, for users to have together. What narrows a role narrows everyone who has it."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update

from ostraka_consumers.clock import Clock
from ostraka_issuer.errors import Conflict, NotFound
from ostraka_issuer.identifiers import RandomBytes
from ostraka_issuer.store import Store, Transaction
from ostraka_issuer.store.tables import ROLE_PERMISSIONS, ROLES, USER_ROLES
from ostraka_schemas.permissions import covered_by_any

from .actors import HOME, Actor
from .holders import announce_less, check_holders, holders, holdings_of
from .holdings import permissions_in
from .ledger import Change, Ledger
from .names import check_id, check_permissions, check_text, check_weight, is_text
from .taking import given_and_taken, taken


@dataclass(frozen=True, slots=True)
class Role:
    """A role. ``users`` is how many have it."""

    name: str
    description: str | None
    permissions: tuple[str, ...]
    users: int
    created_at: float


@dataclass(frozen=True, slots=True)
class RoleChange:
    """What to change of a role, all of it at once. What is not named stays as it is.

    A pattern that is withdrawn takes all that it covers.
    """

    grant: Sequence[str] = ()
    withdraw: Sequence[str] = ()
    description: str | None = None


class Roles:
    """Makes, changes and removes roles.

    Args:
        issuer: the issuer identifier, for what is announced.
    """

    def __init__(
        self,
        store: Store,
        *,
        issuer: str,
        clock: Clock | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._ledger = Ledger(store, issuer=issuer, clock=clock, random_bytes=random_bytes)

    async def add(
        self, name: str, permissions: Sequence[str] = (), *, description: str | None = None, by: Actor = HOME
    ) -> Role:
        """Make a role.

        Raises:
            BadRequest: the name, a permission or the description breaks a rule.
            Conflict: the name is taken.
            Forbidden: the actor does not have a permission of it.
            StoreUnavailable
        """
        check_id(name, "the name of a role")
        granted = check_permissions(permissions)
        check_text(description or "", "a description")
        by.must_hold(granted)
        async with self._ledger.change(by) as change:
            if (await change.tx.execute(select(ROLES.c.name).where(ROLES.c.name == name))).first() is not None:
                raise Conflict("a role of that name exists already")
            await change.tx.execute(
                insert(ROLES).values(name=name, description=description, created_at=change.cause.at)
            )
            await _grant(change.tx, name, granted)
            await change.record("role.add", name, {"permissions": granted, "description": description})
            return await find_role(change.tx, name)

    async def change(
        self, name: str, what: RoleChange, *, by: Actor = HOME, reason: str | None = None
    ) -> tuple[Role, Change]:
        """Change a role, for everyone who has it. What narrows their access is announced.

        Raises:
            NotFound: there is no such role.
            BadRequest: what is asked for breaks a rule, or somebody would have more than a token has room for.
            Conflict: what is withdrawn would stay, as a part of a wider grant (see ``taking``).
            Forbidden: the actor does not have a permission that is granted.
            StoreUnavailable
        """
        granted, withdrawn = given_and_taken(what.grant, what.withdraw)
        check_text(what.description or "", "a description")
        by.must_hold(granted)
        async with self._ledger.change(by, reason) as change:
            tx, role = change.tx, await find_role(change.tx, name)
            gone = taken(role.permissions, withdrawn)
            users = await holders(tx, roles=[name] if gone else ())
            before = None if users is None else await holdings_of(tx, users)
            await _withdraw(tx, name, gone)
            await _grant(tx, name, [each for each in granted if each in gone or each not in role.permissions])
            if what.description is not None:
                await tx.execute(update(ROLES).where(ROLES.c.name == name).values(description=what.description))
            role = await find_role(tx, name)
            check_weight(role.permissions)
            await check_holders(tx, name)
            await announce_less(change, before, [each for each in gone if not covered_by_any(role.permissions, each)])
            await change.record("role.change", name, _details(granted, gone, what.description))
        return role, change

    async def delete(self, name: str, *, by: Actor = HOME, reason: str | None = None) -> Change:
        """Remove a role, from everyone who has it.

        Raises:
            NotFound: there is no such role.
            BadRequest, StoreUnavailable
        """
        async with self._ledger.change(by, reason) as change:
            tx, role = change.tx, await find_role(change.tx, name)
            users = await holders(tx, roles=[name])
            before = None if users is None else await holdings_of(tx, users)
            for table in (ROLE_PERMISSIONS, USER_ROLES):
                await tx.execute(delete(table).where(table.c.role == name))
            await tx.execute(delete(ROLES).where(ROLES.c.name == name))
            await announce_less(change, before, role.permissions)
            await change.record("role.delete", name, {"permissions": role.permissions, "users": role.users})
        return change


async def find_role(tx: Transaction, name: str) -> Role:
    """The role of that name.

    Raises:
        NotFound: there is none.
    """
    row = (await tx.execute(select(ROLES).where(ROLES.c.name == name))).first() if is_text(name) else None
    if row is None:
        raise NotFound("there is no such role")
    users = select(func.count()).select_from(USER_ROLES).where(USER_ROLES.c.role == name)
    number = (await tx.execute(users)).scalar_one()
    return Role(row.name, row.description, await permissions_in(tx, name), number, row.created_at)


async def list_roles(tx: Transaction, *, limit: int, after: str | None = None) -> list[Role]:
    """Roles by name, at most ``limit``; with ``after`` only those whose names come later."""
    query = select(ROLES.c.name).order_by(ROLES.c.name).limit(limit)
    if after is not None:
        if not is_text(after):
            return []
        query = query.where(ROLES.c.name > after)
    return [await find_role(tx, name) for name in (await tx.execute(query)).scalars().all()]


async def _grant(tx: Transaction, role: str, permissions: Iterable[str]) -> None:
    for permission in permissions:
        await tx.execute(insert(ROLE_PERMISSIONS).values(role=role, permission=permission))


async def _withdraw(tx: Transaction, role: str, permissions: Sequence[str]) -> None:
    await tx.execute(
        delete(ROLE_PERMISSIONS).where(ROLE_PERMISSIONS.c.role == role, ROLE_PERMISSIONS.c.permission.in_(permissions))
    )


def _details(granted: Sequence[str], gone: Sequence[str], description: str | None) -> dict[str, object]:
    return {"grant": list(granted) or None, "withdraw": list(gone) or None, "description": description}
