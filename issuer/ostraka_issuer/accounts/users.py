"""Users: made, changed and removed. What narrows their access is announced by the same commit (see ``narrowing``)."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from ostraka_consumers.clock import Clock
from ostraka_issuer.ending import end_sessions
from ostraka_issuer.errors import BadRequest, Conflict
from ostraka_issuer.identifiers import RandomBytes, new_id
from ostraka_issuer.store import Store, Transaction
from ostraka_issuer.store.tables import LOGIN_PLACES, ROLES, SESSIONS, USER_PERMISSIONS, USER_ROLES, USERS

from .actors import HOME, Actor
from .ledger import Change, Ledger
from .names import check_permissions, check_roles, check_username, check_weight, composed
from .narrowing import permissions_left, subject_cut_off
from .passwords import Passwords
from .people import User, by_name, find_user, list_users
from .taking import given_and_taken, insist_not_by_role, taken


@dataclass(frozen=True, slots=True)
class UserChange:
    """What to change of a user, all of it at once. What is not named stays as it is.

    Attributes:
        grant, withdraw: permissions granted directly; a pattern that is withdrawn takes all that it covers.
        assign, unassign: roles.
        disabled: a disabled user cannot log in; all sessions end. Once enabled again, failed logins are forgotten.
        password: a new one; all sessions end, and failed logins are forgotten.
    """

    grant: Sequence[str] = ()
    withdraw: Sequence[str] = ()
    assign: Sequence[str] = ()
    unassign: Sequence[str] = ()
    disabled: bool | None = None
    password: str | None = None


class Accounts:
    """Makes, changes and finds users.

    Args:
        issuer: the issuer identifier, for what is announced.
    """

    def __init__(
        self,
        store: Store,
        passwords: Passwords,
        *,
        issuer: str,
        clock: Clock | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._ledger = Ledger(store, issuer=issuer, clock=clock, random_bytes=random_bytes)

    async def add_user(
        self,
        username: str,
        password: str,
        permissions: Sequence[str] = (),
        roles: Sequence[str] = (),
        *,
        by: Actor = HOME,
    ) -> User:
        """Make a user; the name is kept composed (see ``names.composed``).

        Raises:
            BadRequest: the name, the password, a permission or a role breaks a rule, or there is no such role.
            Conflict: the name is taken.
            Forbidden: the actor does not have what the user would get.
            HashingBusy, StoreUnavailable
        """
        username = composed(username)
        check_username(username)
        granted, held = check_permissions(permissions), check_roles(roles)
        hashed = await self._passwords.hash(password)
        async with self._ledger.change(by) as change:
            tx, user_id = change.tx, new_id(self._ledger.random_bytes)
            if (await tx.execute(by_name(select(USERS.c.id), username))).first() is not None:
                raise Conflict("a user of that name exists already")
            await tx.execute(
                insert(USERS).values(
                    id=user_id, username=username, password_hash=hashed, disabled=False, created_at=change.cause.at
                )
            )
            await _grant(tx, user_id, granted)
            await _assign(tx, user_id, held)
            user = await _checked(change, user_id)
            await change.record("user.add", user_id, {"username": username, "permissions": granted, "roles": held})
        return user

    async def grant(self, username: str, permissions: Sequence[str], *, by: Actor = HOME) -> User:
        """Give a user more permissions; tokens minted from now on carry them.

        Raises:
            NotFound: there is no such user.
            BadRequest: a permission is none, or they would be too many.
            Forbidden: the actor does not have them.
            StoreUnavailable
        """
        async with self._store.read() as tx:
            user_id = (await find_user(tx, username=username)).id
        user, _ = await self.change(user_id, UserChange(grant=permissions), by=by)
        return user

    async def change(
        self, user_id: str, what: UserChange, *, by: Actor = HOME, reason: str | None = None
    ) -> tuple[User, Change]:
        """Change a user. What narrows their access is announced; what widens it is not.

        Raises:
            NotFound: there is no such user.
            BadRequest: what is asked for breaks a rule, or there is no such role.
            Conflict: what is withdrawn would stay, as a part of a wider grant or by a role (see ``taking``).
            Forbidden: the actor does not have what the user would get, or, for a new password or a disabled user that
                is enabled again, what the user has.
            HashingBusy, StoreUnavailable
        """
        granted, withdrawn = given_and_taken(what.grant, what.withdraw)
        assigned = check_roles(what.assign)
        if {*assigned} & {*check_roles(what.unassign)}:
            raise BadRequest("the same is to be given and taken")
        hashed = None if what.password is None else await self._passwords.hash(what.password)
        async with self._ledger.change(by, reason) as change:
            before = await find_user(change.tx, user_id=user_id, for_update=True)
            gone = taken(before.permissions, withdrawn)
            await _withdraw(change.tx, user_id, gone, what.unassign)
            kept = set(before.permissions).difference(gone)
            await _grant(change.tx, user_id, [each for each in granted if each not in kept])
            await _assign(change.tx, user_id, [each for each in assigned if each not in before.roles])
            takes_over = hashed is not None or (before.disabled and what.disabled is False)
            await _set(change, user_id, what.disabled, hashed, forgiven=takes_over)
            user = await _checked(change, user_id, () if takes_over else before.effective)
            await insist_not_by_role(change.tx, user.roles, withdrawn, gone)
            await self._tell(change, before, user, cut_off=hashed is not None or (what.disabled or False))
            await change.record("user.change", user_id, _details(what, gone))
        return user, change

    async def delete(self, user_id: str, *, by: Actor = HOME, reason: str | None = None) -> Change:
        """Remove a user, with all sessions. The name is free again; the id is never used again.

        Raises:
            NotFound: there is no such user.
            BadRequest, StoreUnavailable
        """
        async with self._ledger.change(by, reason) as change:
            user = await find_user(change.tx, user_id=user_id, for_update=True)
            await change.announce([subject_cut_off(change.cause, user_id)])
            for table in (USER_PERMISSIONS, USER_ROLES, LOGIN_PLACES, SESSIONS):
                gone = await change.tx.execute(delete(table).where(table.c.user_id == user_id))
                change.sessions = gone.rowcount if table is SESSIONS else 0
            await change.tx.execute(delete(USERS).where(USERS.c.id == user_id))
            await change.record("user.delete", user_id, {"username": user.username})
        return change

    async def find(self, username: str) -> User:
        """The user of that name.

        Raises:
            NotFound: there is none.
            StoreUnavailable
        """
        async with self._store.read() as tx:
            return await find_user(tx, username=username)

    async def users(self, *, limit: int) -> list[User]:
        """Users by name, at most ``limit``."""
        async with self._store.read() as tx:
            return await list_users(tx, limit=limit)

    async def _tell(self, change: Change, before: User, after: User, *, cut_off: bool) -> None:
        if not cut_off:
            await change.announce(permissions_left(change.cause, after.id, before.effective, after.effective))
            return
        # A cut-off says all that a claims change would: no older token is left.
        change.sessions = await end_sessions(
            change.tx, SESSIONS.c.user_id == after.id, now=change.cause.at, reason=change.cause.reason
        )
        await change.announce([subject_cut_off(change.cause, after.id)])


async def _checked(change: Change, user_id: str, before: Iterable[str] = ()) -> User:
    """The user as the change leaves it, if a token has room for it and the actor may give what is new."""
    user = await find_user(change.tx, user_id=user_id)
    check_weight(user.effective)
    known = set(before)
    change.by.must_hold(permission for permission in user.effective if permission not in known)
    return user


async def _set(change: Change, user_id: str, disabled: bool | None, hashed: str | None, *, forgiven: bool) -> None:
    columns: dict[str, object] = {}
    if disabled is not None:
        columns["disabled"] = disabled
    if hashed is not None:
        columns |= {"password_hash": hashed, "password_changed_at": change.cause.at}
    if forgiven:
        columns["failures_reset"] = USERS.c.failures_reset + 1
    if columns:
        await change.tx.execute(update(USERS).where(USERS.c.id == user_id).values(columns))


async def _grant(tx: Transaction, user_id: str, permissions: Iterable[str]) -> None:
    for permission in permissions:
        await tx.execute(insert(USER_PERMISSIONS).values(user_id=user_id, permission=permission))


async def _assign(tx: Transaction, user_id: str, roles: Sequence[str]) -> None:
    known = set((await tx.execute(select(ROLES.c.name).where(ROLES.c.name.in_(roles)))).scalars().all())
    if missing := [role for role in roles if role not in known]:
        raise BadRequest(f"there is no role {missing[0]}")
    for role in roles:
        await tx.execute(insert(USER_ROLES).values(user_id=user_id, role=role))


async def _withdraw(tx: Transaction, user_id: str, permissions: Sequence[str], roles: Sequence[str]) -> None:
    await tx.execute(
        delete(USER_PERMISSIONS).where(
            USER_PERMISSIONS.c.user_id == user_id, USER_PERMISSIONS.c.permission.in_(permissions)
        )
    )
    await tx.execute(delete(USER_ROLES).where(USER_ROLES.c.user_id == user_id, USER_ROLES.c.role.in_(roles)))


def _details(what: UserChange, gone: Sequence[str]) -> dict[str, object]:
    named = {name: list(getattr(what, name)) or None for name in ("grant", "assign", "unassign")}
    password = None if what.password is None else "changed"
    return {**named, "withdraw": list(gone) or None, "disabled": what.disabled, "password": password}
