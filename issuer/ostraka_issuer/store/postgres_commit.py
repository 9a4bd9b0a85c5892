"""A commit whose answer is lost: the server is asked what became of it."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import asyncpg
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncTransaction

from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.limits import DATABASE_LOOK, DATABASE_WAIT

from .postgres_link import connect

_UNKNOWN: Final = "the connection to the database broke while it committed; whether it did is not known"
_STATUS: Final = "SELECT pg_xact_status($1::text::xid8)"


async def finish(transaction: AsyncTransaction, xid: str, url: SecretStr, committed: Callable[[], None]) -> None:
    """Commit, and call ``committed``. If the connection breaks over it, find out whether it was committed.

    Args:
        xid: what ``pg_current_xact_id`` said within the transaction.

    Raises:
        StoreUnavailable: it was not committed; or nobody can be asked now, and the message says so.
        DBAPIError: the server refused to commit.
    """
    try:
        await transaction.commit()
    except DBAPIError as error:
        if not error.connection_invalidated or not await _was_committed(xid, url, error):
            raise
    except StoreUnavailable as error:
        if not await _was_committed(xid, url, error):
            raise
    committed()


async def _was_committed(xid: str, url: SecretStr, why: Exception) -> bool:
    try:
        async with asyncio.timeout(DATABASE_WAIT):
            connection = await connect(url)
            try:
                return await _outcome(connection, xid) == "committed"
            finally:
                connection.terminate()
    except (StoreUnavailable, TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        raise StoreUnavailable(_UNKNOWN) from why


async def _outcome(connection: Any, xid: str) -> str:
    # The server goes on with a commit whose client it has lost.
    while True:
        status = await connection.fetchval(_STATUS, xid)
        if status != "in progress":
            return str(status)
        await asyncio.sleep(DATABASE_LOOK)
