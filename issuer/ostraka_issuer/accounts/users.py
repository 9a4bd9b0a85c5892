"""Users and what they may do."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_issuer.errors import BadRequest, Conflict, NotFound
from ostraka_issuer.identifiers import RandomBytes, new_id
from ostraka_issuer.limits import GRANTED_TEXT_MAX, USERNAME_MAX_CHARS
from ostraka_issuer.store import Store, Transaction
from ostraka_issuer.store.tables import USER_PERMISSIONS, USERS
from ostraka_schemas.limits import PERMISSIONS_MAX
from ostraka_schemas.permissions import is_permission, overlaps

from .holdings import permissions_of
from .passwords import Passwords


@dataclass(frozen=True, slots=True)
class User:
    """A user. ``id`` is the ``sub`` of the user's tokens."""

    id: str
    username: str
    permissions: tuple[str, ...]
    disabled: bool
    created_at: float


class Accounts:
    """Makes and finds users."""

    def __init__(
        self,
        store: Store,
        passwords: Passwords,
        *,
        clock: Clock | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._clock = clock or SystemClock()
        self._random_bytes = random_bytes

    async def add_user(self, username: str, password: str, permissions: Sequence[str] = ()) -> User:
        """Make a user.

        Raises:
            BadRequest: the name, the password or a permission breaks a rule.
            Conflict: the name is taken.
            HashingBusy, StoreUnavailable
        """
        _check_username(username)
        granted = _checked(permissions)
        hashed = await self._passwords.hash(password)
        user = User(new_id(self._random_bytes), username, granted, disabled=False, created_at=self._clock.now().wall)
        async with self._store.write() as tx:
            if (await tx.execute(select(USERS.c.id).where(USERS.c.username == username))).first() is not None:
                raise Conflict("a user of that name exists already")
            await tx.execute(
                insert(USERS).values(
                    id=user.id, username=username, password_hash=hashed, disabled=False, created_at=user.created_at
                )
            )
            await _grant(tx, user.id, granted)
        return user

    async def grant(self, username: str, permissions: Sequence[str]) -> User:
        """Give a user more permissions; tokens minted from now on carry them.

        Raises:
            NotFound: there is no such user.
            BadRequest: a permission is none, or they would be too many.
            StoreUnavailable
        """
        async with self._store.write() as tx:
            user = await find_user(tx, username=username)
            granted = _checked([*user.permissions, *permissions])
            await _grant(tx, user.id, [permission for permission in granted if permission not in user.permissions])
            return await find_user(tx, username=username)

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
            rows = (await tx.execute(select(USERS.c.username).order_by(USERS.c.username).limit(limit))).scalars().all()
            return [await find_user(tx, username=name) for name in rows]


async def find_user(tx: Transaction, *, username: str | None = None, user_id: str | None = None) -> User:
    """The user of that name or id.

    Raises:
        NotFound: there is none.
    """
    which = USERS.c.id == user_id if username is None else USERS.c.username == username
    row = (await tx.execute(select(USERS).where(which))).first()
    if row is None:
        raise NotFound("there is no such user")
    permissions = await permissions_of(tx, row.id)
    return User(row.id, row.username, permissions, bool(row.disabled), row.created_at)


async def withdraw_everywhere(tx: Transaction, pattern: str) -> int:
    """Take from every user what lets them do anything that ``pattern`` means. Returns how many grants are gone.

    A wider grant goes as a whole: ``orders:*`` still allows ``orders:create``, and there is no pattern for the rest.
    """
    held = (await tx.execute(select(USER_PERMISSIONS.c.permission).distinct())).scalars().all()
    gone = [permission for permission in held if overlaps(pattern, permission)]
    removed = 0
    for permission in gone:
        result = await tx.execute(delete(USER_PERMISSIONS).where(USER_PERMISSIONS.c.permission == permission))
        removed += result.rowcount
    return removed


async def _grant(tx: Transaction, user_id: str, permissions: Iterable[str]) -> None:
    for permission in permissions:
        await tx.execute(insert(USER_PERMISSIONS).values(user_id=user_id, permission=permission))


def _check_username(username: str) -> None:
    if not 1 <= len(username) <= USERNAME_MAX_CHARS or not username.isprintable() or " " in username:
        raise BadRequest(f"a user name has 1 to {USERNAME_MAX_CHARS} printable characters and no space")


def _checked(permissions: Sequence[str]) -> tuple[str, ...]:
    granted = tuple(dict.fromkeys(permissions))
    if not all(is_permission(permission) for permission in granted):
        raise BadRequest("a permission is resource:action, each of A-Z a-z 0-9 . _ - or a single *")
    if len(granted) > PERMISSIONS_MAX or sum(map(len, granted)) > GRANTED_TEXT_MAX:
        raise BadRequest(f"a user has at most {PERMISSIONS_MAX} permissions, {GRANTED_TEXT_MAX} characters together")
    return granted
