"""Who holds which permission: users by themselves and through their roles, clients by themselves."""

from typing import Any

from sqlalchemy import ColumnElement, Row, func, select, union

from ostraka_issuer.store import Transaction
from ostraka_issuer.store.tables import CLIENT_PERMISSIONS, ROLE_PERMISSIONS, USER_PERMISSIONS, USER_ROLES


async def permissions_of(tx: Transaction, user_id: str) -> tuple[str, ...]:
    """What a user may do, by direct grants and by roles, sorted. One statement: it sees one state of the database."""
    own = select(USER_PERMISSIONS.c.permission).where(USER_PERMISSIONS.c.user_id == user_id)
    by_role = (
        select(ROLE_PERMISSIONS.c.permission)
        .join(USER_ROLES, USER_ROLES.c.role == ROLE_PERMISSIONS.c.role)
        .where(USER_ROLES.c.user_id == user_id)
    )
    return tuple(sorted((await tx.execute(union(own, by_role))).scalars().all()))


def held_by(user_id: ColumnElement[str]) -> tuple[ColumnElement[str], ColumnElement[str]]:
    """Columns of a query that say what the user of each row may do; ``held_in`` reads them."""
    own = select(func.aggregate_strings(USER_PERMISSIONS.c.permission, _GAP)).where(
        USER_PERMISSIONS.c.user_id == user_id
    )
    by_role = (
        select(func.aggregate_strings(ROLE_PERMISSIONS.c.permission, _GAP))
        .join(USER_ROLES, USER_ROLES.c.role == ROLE_PERMISSIONS.c.role)
        .where(USER_ROLES.c.user_id == user_id)
    )
    return own.scalar_subquery().label("held_directly"), by_role.scalar_subquery().label("held_by_role")


def held_in(row: "Row[Any]") -> tuple[str, ...]:
    """What the user of a row with the columns of ``held_by`` may do, sorted."""
    texts = (row.held_directly, row.held_by_role)
    return tuple(sorted({permission for text in texts if text is not None for permission in text.split(_GAP)}))


_GAP = " "
"""No permission has it inside."""


async def client_permissions_of(tx: Transaction, client_id: str) -> tuple[str, ...]:
    """What a client may do by itself (``client_credentials``), sorted."""
    granted = select(CLIENT_PERMISSIONS.c.permission).where(CLIENT_PERMISSIONS.c.client_id == client_id)
    return tuple(sorted((await tx.execute(granted)).scalars().all()))


async def permissions_in(tx: Transaction, role: str) -> tuple[str, ...]:
    """What a role allows, sorted."""
    granted = select(ROLE_PERMISSIONS.c.permission).where(ROLE_PERMISSIONS.c.role == role)
    return tuple(sorted((await tx.execute(granted)).scalars().all()))
