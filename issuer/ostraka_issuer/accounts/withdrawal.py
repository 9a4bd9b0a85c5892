"""A permission is taken from everyone who holds it: users, roles, clients."""

from sqlalchemy import delete, select

from ostraka_issuer.limits import NARROWED_USERS_MAX
from ostraka_issuer.store import Transaction
from ostraka_issuer.store.tables import CLIENT_PERMISSIONS, ROLE_PERMISSIONS, USER_PERMISSIONS
from ostraka_schemas.permissions import covers, overlaps

from .holders import announce_less, holders, holdings_of
from .holdings import client_permissions_of
from .ledger import Change
from .narrowing import permissions_gone, permissions_left

_GRANTS = (USER_PERMISSIONS, ROLE_PERMISSIONS, CLIENT_PERMISSIONS)


async def withdraw_everywhere(change: Change, pattern: str) -> int:
    """Take from everyone what lets them do anything that ``pattern`` means. Returns how many grants are gone.

    A wider grant goes as a whole: ``orders:*`` still allows ``orders:create``, and there is no pattern for the rest.
    What it allowed beyond ``pattern`` is announced here; ``pattern`` itself is the caller's to announce.
    """
    tx, gone = change.tx, await _held(change.tx, pattern)
    wider = [permission for permission in gone if not covers(pattern, permission)]
    roles = select(ROLE_PERMISSIONS.c.role).where(ROLE_PERMISSIONS.c.permission.in_(wider)).distinct()
    users = await holders(tx, roles=(await tx.execute(roles)).scalars().all(), permissions=wider)
    before = None if users is None else await holdings_of(tx, users)
    of_clients = select(CLIENT_PERMISSIONS.c.client_id).where(CLIENT_PERMISSIONS.c.permission.in_(wider)).distinct()
    clients = (await tx.execute(of_clients.limit(NARROWED_USERS_MAX + 1))).scalars().all()
    held = {client_id: await client_permissions_of(tx, client_id) for client_id in clients[:NARROWED_USERS_MAX]}
    removed = 0
    for table in _GRANTS:
        removed += (await tx.execute(delete(table).where(table.c.permission.in_(gone)))).rowcount
    if len(clients) > NARROWED_USERS_MAX:
        await change.announce(permissions_gone(change.cause, wider))
        return removed
    await announce_less(change, before, wider)
    for client_id, could in held.items():
        left = await client_permissions_of(tx, client_id)
        await change.announce(permissions_left(change.cause, client_id, could, left))
    return removed


async def _held(tx: Transaction, pattern: str) -> list[str]:
    """Every permission that anybody holds and of which ``pattern`` means a part."""
    found: set[str] = set()
    for table in _GRANTS:
        found.update((await tx.execute(select(table.c.permission).distinct())).scalars().all())
    return sorted(permission for permission in found if overlaps(pattern, permission))
