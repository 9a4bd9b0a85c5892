"""Connections to PostgreSQL: how long either side waits, and which of them are good no more."""

from typing import Any, Final, NoReturn

import asyncpg
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from ostraka_issuer.errors import BadRequest, StoreUnavailable
from ostraka_issuer.limits import (
    DATABASE_CONNECTIONS,
    DATABASE_IDLE,
    DATABASE_SILENCE,
    DATABASE_STATEMENT,
    DATABASE_WAIT,
)

_SESSION: Final = {
    "application_name": "ostraka",
    # A database may have been set up to be less careful: a commit is on the disk before it is acknowledged.
    "synchronous_commit": "on",
    "lock_timeout": f"{DATABASE_WAIT * 1000:.0f}",
    "statement_timeout": f"{DATABASE_STATEMENT * 1000:.0f}",
    "idle_in_transaction_session_timeout": f"{DATABASE_IDLE * 1000:.0f}",
    # A client whose machine has vanished must not keep its locks: found out after some ten seconds.
    "tcp_keepalives_idle": "4",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    # Compiling takes longer than any of our statements runs.
    "jit": "off",
}

_REPLACE: Final = ("25006", "57P01", "57P02", "57P03")
"""SQLSTATE: read-only, shutdown by the administrator, after a crash, not yet ready. The server may not be what it was:
after a fail-over the next connection meets the new one."""

_NOT_TEXT: Final = "22"
"""Class of SQLSTATE: data exception."""


async def connect(url: SecretStr, **session: str) -> Any:
    """Connect with asyncpg.

    Args:
        session: further settings of the session, which win over ours.

    Raises:
        StoreUnavailable: nobody there, or not for us; the message does not repeat the URL.
    """
    try:
        return await asyncpg.connect(
            url.get_secret_value(),
            timeout=DATABASE_WAIT,
            command_timeout=DATABASE_SILENCE,
            server_settings={**_SESSION, **session},
        )
    except TimeoutError:
        raise StoreUnavailable(f"the database did not answer within {DATABASE_WAIT:.0f} s") from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise StoreUnavailable(f"no connection to the database: {_words(error)}") from None
    except ValueError:
        # It would repeat what it could not read.
        raise StoreUnavailable("no connection to the database: its URL cannot be understood") from None


def new_engine(url: SecretStr, connections: int = DATABASE_CONNECTIONS) -> AsyncEngine:
    """A pool of connections that are replaced when they broke. The engine itself does not know the URL."""

    async def connected(**_: object) -> Any:
        return await connect(url)

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connected,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=DATABASE_WAIT,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "checkout", _check)
    event.listen(engine.sync_engine, "handle_error", _failed)
    return engine


def _check(_connection: object, entry: ConnectionPoolEntry, _proxy: object) -> None:
    # The event loop has heard of every connection that the server closed, so this asks nobody.
    driver: Any = entry.driver_connection
    if driver is None or driver.is_closed():
        raise DisconnectionError("closed by the server")


def _failed(context: ExceptionContext) -> None:
    error = context.original_exception
    _forget_values(error)
    if isinstance(error, TimeoutError):
        context.is_disconnect = True
        raise StoreUnavailable(f"the database did not answer within {DATABASE_SILENCE:.0f} s")
    if isinstance(error, OSError):
        context.is_disconnect = True
        raise StoreUnavailable(f"the connection to the database broke: {_words(error)}")
    state = getattr(error, "sqlstate", None) or ""
    if state.startswith(_NOT_TEXT) or isinstance(error.__cause__, asyncpg.DataError):
        _refuse()
    if state in _REPLACE:
        context.is_disconnect = True


def _refuse() -> NoReturn:
    raise BadRequest("a value that the database cannot hold")


def _forget_values(error: BaseException) -> None:
    # "Failing row contains …": whatever was in the row, a password's hash too, would stand in the log.
    for each in (error, error.__cause__):
        if getattr(each, "detail", None):
            each.detail = None  # type: ignore[union-attr]


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or (error.args[0] if error.args else type(error).__name__))
