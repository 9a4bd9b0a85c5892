"""Which database: the one of ``settings.database``, or the SQLite file in the home."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.home import Home
from ostraka_issuer.settings import IssuerSettings

from .engine import Store, ours
from .migrate import NEWEST, bring_to
from .postgres import PostgresStore
from .postgres_link import new_engine
from .sqlite import SqliteStore, create_file, sqlite_connection

T = TypeVar("T")


def open_store(settings: IssuerSettings) -> Store:
    """The database of ``settings``, which has been migrated. It connects when it is first used."""
    if settings.database is None:
        return SqliteStore(Home(settings.home).database)
    return PostgresStore(settings.database)


def migrate(settings: IssuerSettings, revision: str = NEWEST) -> None:
    """Bring the database up to date, in one transaction; a SQLite file is made if there is none. Blocks.

    Args:
        revision: another step than the newest one, for going back.

    Raises:
        SchemaError: it was written by a newer version.
        StoreUnavailable: it cannot be opened or written.
    """
    if settings.database is None:
        create_file(Home(settings.home).database)
    in_database(settings, lambda connection: bring_to(connection, revision))


def in_database(settings: IssuerSettings, job: Callable[[Connection], T]) -> T:
    """Run ``job`` in one transaction that may write, with a connection of its own. Blocks.

    Raises:
        StoreUnavailable: the database cannot be used.
    """
    if settings.database is None:
        return _in_file(Home(settings.home).database, job)
    # The driver needs an event loop, and the caller's thread may have one already.
    with ThreadPoolExecutor(1, thread_name_prefix="ostraka-store") as thread:
        return thread.submit(asyncio.run, _on_server(settings.database, job)).result()


def _in_file(path: Path, job: Callable[[Connection], T]) -> T:
    try:
        with sqlite_connection(path) as connection:
            return job(connection)
    except DBAPIError as error:
        raise StoreUnavailable(f"cannot use {path}: {error.orig}") from error


async def _on_server(url: SecretStr, job: Callable[[Connection], T]) -> T:
    engine = new_engine(url, connections=1)
    try:
        with ours():
            async with engine.begin() as connection:
                return await connection.run_sync(job)
    finally:
        await engine.dispose()
