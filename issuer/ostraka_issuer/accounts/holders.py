"""Many holders at once: who has a role, what each of them may do, and what they must be told when it becomes less."""

from collections.abc import Mapping, Sequence

from sqlalchemy import CompoundSelect, func, select, union

from ostraka_issuer.errors import BadRequest
from ostraka_issuer.limits import GRANTED_TEXT_MAX, NARROWED_USERS_MAX
from ostraka_issuer.store import Transaction
from ostraka_issuer.store.tables import ROLE_PERMISSIONS, USER_PERMISSIONS, USER_ROLES
from ostraka_schemas.limits import PERMISSIONS_MAX

from .ledger import Change
from .narrowing import permissions_gone, permissions_left

Holdings = Mapping[str, tuple[str, ...]]
"""What each user may do, by id."""


async def holders(
    tx: Transaction, *, roles: Sequence[str] = (), permissions: Sequence[str] = ()
) -> tuple[str, ...] | None:
    """Ids of the users that have any of ``roles``, or were granted any of ``permissions`` directly.

    Returns:
        ``None`` if they are more than ``NARROWED_USERS_MAX``.
    """
    found = (
        await tx.execute(
            union(
                select(USER_ROLES.c.user_id).where(USER_ROLES.c.role.in_(roles)),
                select(USER_PERMISSIONS.c.user_id).where(USER_PERMISSIONS.c.permission.in_(permissions)),
            ).limit(NARROWED_USERS_MAX + 1)
        )
    ).all()
    return None if len(found) > NARROWED_USERS_MAX else tuple(row.user_id for row in found)


async def holdings_of(tx: Transaction, user_ids: Sequence[str]) -> Holdings:
    """What each of the users may do, by grants and by roles, sorted. One statement."""
    held: dict[str, list[str]] = {user_id: [] for user_id in user_ids}
    table = _held().subquery()
    query = select(table.c.user_id, table.c.permission).where(table.c.user_id.in_(user_ids))
    for user_id, permission in (await tx.execute(query)).all():
        held[user_id].append(permission)
    return {user_id: tuple(sorted(permissions)) for user_id, permissions in held.items()}


async def announce_less(change: Change, before: Holdings | None, gone: Sequence[str]) -> None:
    """Tell the feed what holders lost: each by name, or everyone at once.

    Args:
        before: what each holder could; ``None`` if they are too many to be named.
        gone: the permissions that were taken.
    """
    if before is None:
        await change.announce(permissions_gone(change.cause, gone))
        return
    after = await holdings_of(change.tx, tuple(before))
    for user_id, could in before.items():
        await change.announce(permissions_left(change.cause, user_id, could, after[user_id]))


async def check_holders(tx: Transaction, role: str) -> None:
    """Refuse a role that would give one of its holders more than a token has room for.

    Raises:
        BadRequest
    """
    table = _held().subquery()
    weight = (func.count() > PERMISSIONS_MAX) | (func.sum(func.length(table.c.permission)) > GRANTED_TEXT_MAX)
    having = select(USER_ROLES.c.user_id).where(USER_ROLES.c.role == role)
    query = select(table.c.user_id).where(table.c.user_id.in_(having)).group_by(table.c.user_id).having(weight)
    if (await tx.execute(query.limit(1))).first() is not None:
        raise BadRequest("somebody with this role would have more permissions than a token has room for")


def _held() -> "CompoundSelect[tuple[str, str]]":
    """Who may do what: pairs of user and permission, each once."""
    return union(
        select(USER_PERMISSIONS.c.user_id, USER_PERMISSIONS.c.permission),
        select(USER_ROLES.c.user_id, ROLE_PERMISSIONS.c.permission).join(
            ROLE_PERMISSIONS, ROLE_PERMISSIONS.c.role == USER_ROLES.c.role
        ),
    )
