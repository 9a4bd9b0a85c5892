"""Hearing of what another process committed to a SQLite file, which tells nobody: by asking, often and cheaply."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ostraka_consumers.uninterrupted import uninterrupted
from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.limits import DATABASE_LOOK


@asynccontextmanager
async def watch(path: Path, callback: Callable[[], None]) -> AsyncIterator[None]:
    """Call ``callback`` within ``DATABASE_LOOK`` seconds of any commit by another connection.

    Raises:
        StoreUnavailable: the file cannot be opened.
    """
    try:
        connection = await asyncio.to_thread(_open, path)
        version = await asyncio.to_thread(_version, connection)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"cannot open {path}: {error}") from error
    task = asyncio.create_task(_poll(connection, version, callback))
    try:
        yield
    finally:
        task.cancel()
        await uninterrupted(asyncio.wait({task}))
        await asyncio.to_thread(connection.close)
        if not task.cancelled():
            task.result()


async def _poll(connection: sqlite3.Connection, version: int, callback: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(DATABASE_LOOK)
        try:
            # To its end: the connection must not be closed under it.
            newest = await uninterrupted(asyncio.to_thread(_version, connection))
        except sqlite3.Error:
            newest = -1  # Whoever is told to look will meet the trouble, and say it.
        if newest != version:
            version = newest
            callback()


def _open(path: Path) -> sqlite3.Connection:
    # One thread at a time uses it; which one is the executor's choice.
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def _version(connection: sqlite3.Connection) -> int:
    # Changes whenever another connection commits: https://www.sqlite.org/pragma.html#pragma_data_version
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
