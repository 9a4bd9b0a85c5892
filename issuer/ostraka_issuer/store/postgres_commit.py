"""A commit whose answer is lost: the server is asked what became of it."""

from typing import Final

from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncTransaction

from ostraka_issuer.errors import StoreUnavailable

from .postgres_link import connect

_UNKNOWN: Final = "the connection to the database broke while it committed; whether it did is not known"


async def finish(transaction: AsyncTransaction, xid: str, url: SecretStr) -> None:
    """Commit. If the connection breaks over it, find out whether it was committed.

    Args:
        xid: what ``pg_current_xact_id`` said within the transaction.

    Raises:
        StoreUnavailable: it was not committed; or nobody can be asked now, and the message says so.
        DBAPIError: the server refused to commit.
    """
    try:
        await transaction.commit()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        if not await _was_committed(xid, url, error):
            raise
    except StoreUnavailable as error:
        if not await _was_committed(xid, url, error):
            raise


async def _was_committed(xid: str, url: SecretStr, why: Exception) -> bool:
    try:
        connection = await connect(url)
        try:
            status = await connection.fetchval("SELECT pg_xact_status($1::text::xid8)", xid)
        finally:
            connection.terminate()
    except Exception:  # noqa: BLE001 - whatever it is, nothing more can be learnt
        raise StoreUnavailable(_UNKNOWN) from why
    if status == "in progress":
        raise StoreUnavailable(_UNKNOWN) from why
    return bool(status == "committed")
