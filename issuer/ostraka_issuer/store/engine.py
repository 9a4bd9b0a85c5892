"""The database: SQLite that does not lose a commit, one writer at a time, and our errors only.

``synchronous=FULL``: with WAL and less, a power cut may take back a commit that was acknowledged. Writers take the lock
when they begin (``BEGIN IMMEDIATE``): what a transaction read is still true when it writes. Within one process writers
queue in order; SQLite's own waiting, by polling, is left for other processes.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, Protocol, TypeVar

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ostraka_consumers.uninterrupted import uninterrupted
from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.limits import DATABASE_CONNECTIONS, DATABASE_WAIT, STORE_TROUBLE

T = TypeVar("T")

Transaction = AsyncConnection
"""What the store hands out: a connection inside a transaction."""

_WRITES: Final = "ostraka_writes"


class Companion(Protocol):
    """Adds to every transaction that has something to announce, before it is committed."""

    def join(self, connection: Connection) -> Callable[[], None] | None:
        """Work in the transaction. Returns what must be called right after its commit, in the order of commits."""
        ...


class Store:
    """The issuer's database. ``companion`` joins the transactions of ``announce()``; there may be none.

    Args:
        path: the SQLite file; it must have been migrated (``migrate``).

    Use ``read()``, ``write()`` and ``work()``, then ``close()``.
    """

    def __init__(self, path: Path) -> None:
        self._engine: AsyncEngine = create_async_engine(
            f"sqlite+aiosqlite:///{path}",
            pool_size=DATABASE_CONNECTIONS,
            max_overflow=0,
            pool_timeout=DATABASE_WAIT,
            hide_parameters=True,
        )
        prepare(self._engine.sync_engine)
        self._writers = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ostraka-store")
        self._thread_engine = create_engine(
            f"sqlite:///{path}", poolclass=StaticPool, hide_parameters=True, execution_options={_WRITES: True}
        )
        prepare(self._thread_engine)
        self._closed = False
        self._failed_at = -math.inf
        self._failure = ""
        self.companion: Companion | None = None

    @property
    def trouble(self) -> str | None:
        """Why writing failed, if it did within the last ``STORE_TROUBLE`` seconds and not succeeded since."""
        return self._failure if _now() - self._failed_at < STORE_TROUBLE else None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """A transaction that sees one state of the database and changes nothing.

        Raises:
            StoreUnavailable: the database cannot be read now.
        """
        with _ours():
            async with self._engine.connect() as connection, connection.begin():
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """A transaction that may write: committed at the end of the block, rolled back by an exception.

        Raises:
            StoreUnavailable: no turn within ``DATABASE_WAIT``, or the database cannot be written; nothing was changed.
        """
        with _ours():
            async with self._turn(), self._transaction() as connection:
                yield connection

    @asynccontextmanager
    async def announce(self) -> AsyncIterator[Transaction]:
        """``write()``, for a change that the feed must learn of: what it announces gets its place by the same commit.

        Without a companion the intent waits for the feed, in whatever process it runs.

        Raises:
            StoreUnavailable: as for ``write()``.
        """
        companion = self.companion
        committed: Callable[[], None] | None = None
        with _ours():
            async with self._turn():
                async with self._transaction() as connection:
                    yield connection
                    if companion is not None:
                        committed = await connection.run_sync(companion.join)
                if committed is not None:
                    committed()

    async def work(self, job: Callable[[Connection], T]) -> T:
        """Run ``job`` in one transaction that may write, in a thread of the store's own.

        A statement through ``write()`` costs several changes of thread. This costs two for all of them, so it is for
        the path on which every verifier waits. A cancellation is raised when the transaction has ended.

        Raises:
            StoreUnavailable: as for ``write()``.
        """
        with _ours():
            async with self._turn():
                loop = asyncio.get_running_loop()
                return await uninterrupted(loop.run_in_executor(self._thread, self._work, job))

    def _work(self, job: Callable[[Connection], T]) -> T:
        with self._thread_engine.begin() as connection:
            return job(connection)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(DATABASE_WAIT):
                await self._writers.acquire()
        except TimeoutError as error:
            raise StoreUnavailable(f"the database had no turn for a writer within {DATABASE_WAIT:.0f} s") from error
        try:
            yield
        except DBAPIError as error:
            self._failed_at, self._failure = _now(), f"cannot be written: {error.orig}"
            raise
        else:
            self._failed_at = -math.inf
        finally:
            self._writers.release()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Transaction]:
        async with self._engine.connect() as plain:
            connection = await plain.execution_options(**{_WRITES: True})
            async with connection.begin():
                yield connection

    async def close(self) -> None:
        """Close every connection. The second time has no effect."""
        await self._engine.dispose()
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._thread_engine.dispose)
            self._thread.shutdown(wait=False)


def _now() -> float:
    return asyncio.get_running_loop().time()


@contextmanager
def _ours() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise StoreUnavailable(f"the database did not do it: {error.orig}") from error
    except PoolTimeout as error:
        raise StoreUnavailable(f"the database had no connection free within {DATABASE_WAIT:.0f} s") from error


def prepare(engine: Engine) -> None:
    """Give every connection of ``engine`` the settings above, and transactions that begin as they should."""

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, _record: object) -> None:
        # Python's sqlite3 would begin transactions by itself, too late and never for reads.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(DATABASE_WAIT * 1000)}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
