"""PostgreSQL: writers run beside each other; what has to be alone takes one lock of the whole database.

``announce()`` and ``work()`` begin with an advisory lock that ends with their commit, in every process that uses the
database: the order of these commits is the order of ``intents.id``, and the feed's head that one of them read is the
head that it follows. Nothing else waits for that lock, so a login never stands behind a revocation.

Each process queues for it inside first and keeps one connection for it, so that neither those who wait nor any number
of logins can keep the feed from its turn.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any, TypeVar

from pydantic import SecretStr
from sqlalchemy import Connection, Row, Select, Update, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ostraka_consumers.uninterrupted import uninterrupted

from .engine import Store, Transaction, nothing
from .postgres_changes import CHANNEL, watch
from .postgres_commit import finish
from .postgres_link import new_engine

T = TypeVar("T")

FEED_LOCK = 0x6F7374_01
"""Key of the advisory lock of ``announce()`` and ``work()``. Our keys begin with "ost"."""

_BEGIN = text("SELECT pg_current_xact_id()::text FROM pg_advisory_xact_lock(:key)").bindparams(key=FEED_LOCK)
_NOTIFY = text("SELECT pg_notify(:channel, :name)")


class PostgresStore(Store):
    """The database on a PostgreSQL server.

    Args:
        url: ``postgresql://user:password@host/name``; it must have been migrated.
    """

    dialect = "postgresql"

    def __init__(self, url: SecretStr) -> None:
        super().__init__()
        self._url = url
        self._engine = new_engine(url)
        self._reads = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        # The server makes a transaction of each statement by itself: no BEGIN, no COMMIT, nothing to wait for but it.
        self._single = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._alone = new_engine(url, connections=1)
        self._name = token_hex(8)

    @asynccontextmanager
    async def listen(self, callback: Callable[[], None]) -> AsyncIterator[None]:
        """See ``Store``."""
        async with watch(self._url, callback, but=self._name):
            yield

    async def close(self) -> None:
        """See ``Store``."""
        await self._engine.dispose()
        await self._alone.dispose()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Transaction]:
        async with _connection(self._reads) as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Transaction]:
        async with _connection(self._engine) as connection, connection.begin():
            yield connection

    async def _asking(self, query: "Select[Any]", values: Mapping[str, Any]) -> "Sequence[Row[Any]]":
        async with _connection(self._single) as connection:
            rows: Sequence[Row[Any]] = (await connection.execute(query, values)).all()
            return rows

    async def _applying(self, change: Update, values: Mapping[str, Any]) -> int:
        async with _connection(self._single) as connection:
            return int((await connection.execute(change, values)).rowcount)

    @asynccontextmanager
    async def _announcing(self, committed: Callable[[], None]) -> AsyncIterator[Transaction]:
        async with _connection(self._alone) as connection:
            transaction = await connection.begin()
            try:
                xid = (await connection.execute(_BEGIN)).scalar_one()
                yield connection
                await connection.execute(_NOTIFY, {"channel": CHANNEL, "name": self._name})
            except BaseException:
                await uninterrupted(transaction.rollback())
                raise
            await uninterrupted(finish(transaction, xid, self._url, committed))

    async def _working(self, job: Callable[[Connection], T]) -> T:
        return await uninterrupted(self._work(job))

    async def _work(self, job: Callable[[Connection], T]) -> T:
        async with self._announcing(nothing) as connection:
            return await connection.run_sync(job)


@asynccontextmanager
async def _connection(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    connection = await engine.connect()
    try:
        yield connection
    except BaseException:
        await uninterrupted(connection.close())
        raise
    # Nothing is open any more, so this asks nobody and cannot be cut in half.
    await connection.close()
