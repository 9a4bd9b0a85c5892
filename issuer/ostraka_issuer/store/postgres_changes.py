"""Hearing of what other processes committed, from the server itself (LISTEN and NOTIFY)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from pydantic import SecretStr

from ostraka_consumers.uninterrupted import uninterrupted
from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.limits import DATABASE_RECONNECT, DATABASE_SILENCE

from .postgres_link import connect

CHANNEL: Final = "ostraka"
"""Who commits says its own name there."""

logger = logging.getLogger(__name__)


@asynccontextmanager
async def watch(url: SecretStr, callback: Callable[[], None], *, but: str) -> AsyncIterator[None]:
    """Call ``callback`` when somebody commits who is not called ``but``, and after every gap in the connection.

    Raises:
        StoreUnavailable: no connection now; later ones are made again and again.
    """

    def heard(_connection: object, _pid: int, _channel: str, name: str) -> None:
        if name != but:
            callback()

    connection = await _listen(url, heard)
    task = asyncio.create_task(_keep(connection, url, heard, callback))
    try:
        yield
    finally:
        task.cancel()
        await uninterrupted(asyncio.wait({task}))
        if not task.cancelled():
            task.result()


async def _listen(url: SecretStr, heard: Callable[..., None]) -> Any:
    connection = await connect(url)
    try:
        await connection.add_listener(CHANNEL, heard)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        connection.terminate()
        raise StoreUnavailable(f"the connection that tells of changes in the database broke: {error}") from error
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _keep(connection: Any, url: SecretStr, heard: Callable[..., None], callback: Callable[[], None]) -> None:
    while True:
        try:
            await _until_broken(connection)
        finally:
            connection.terminate()
        logger.warning("the connection that tells of changes in the database broke; it is made again")
        connection = await _again(url, heard)
        callback()


async def _until_broken(connection: Any) -> None:
    # A server that vanished closes nothing, so it is asked now and then.
    while True:
        await asyncio.sleep(DATABASE_RECONNECT)
        try:
            await connection.execute("SELECT 1", timeout=DATABASE_SILENCE)
        except Exception:  # noqa: BLE001 - whatever it is, this connection is good no more
            return


async def _again(url: SecretStr, heard: Callable[..., None]) -> Any:
    while True:
        try:
            return await _listen(url, heard)
        except StoreUnavailable:
            await asyncio.sleep(DATABASE_RECONNECT)
