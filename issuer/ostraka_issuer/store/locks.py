"""What a transaction keeps from changing until it ends.

On SQLite writers are alone, and nothing here has an effect. On PostgreSQL they run beside each other, and a deadlock is
impossible because everyone takes locks in this order:

1. the feed: ``Store.announce()`` and ``Store.work()`` take it when they begin;
2. everyone: ``share_everyone`` by whoever mints, ``exclude_everyone`` by whoever ends the access of all;
3. rows of users, then clients, then sessions, then anything else: ``FOR SHARE`` (``with_for_update(read=True)``) by
   whoever mints, ``FOR UPDATE`` by whoever ends or narrows. Several rows of one table in the order of their keys.

A refresh takes none of them but the one row that it changes, by the statement that changes it: the session that it goes
on with is ended by whoever ends anything of its user or client.
"""

from typing import Final

from sqlalchemy import TextClause, text

from .engine import Transaction

EVERYONE_LOCK: Final = 0x6F7374_02

_SHARE: Final = text("SELECT pg_advisory_xact_lock_shared(:key)").bindparams(key=EVERYONE_LOCK)
_EXCLUDE: Final = text("SELECT pg_advisory_xact_lock(:key)").bindparams(key=EVERYONE_LOCK)


async def share_everyone(tx: Transaction) -> None:
    """Until the transaction ends, nobody ends the access of all. Whoever mints takes it, beside any number of others.

    Raises:
        DBAPIError: not within ``DATABASE_WAIT``; outside the store's block that is StoreUnavailable.
    """
    await _take(tx, _SHARE)


async def exclude_everyone(tx: Transaction) -> None:
    """Wait for all who mint to end, and let none begin until the transaction ends. Raises as ``share_everyone``."""
    await _take(tx, _EXCLUDE)


async def _take(tx: Transaction, lock: TextClause) -> None:
    if tx.dialect.name == "postgresql":
        await tx.execute(lock)
