"""SQLite that does not lose a commit, one writer at a time.

``synchronous=FULL``: with WAL and less, a power cut may take back a commit that was acknowledged. Writers take the lock
when they begin (``BEGIN IMMEDIATE``): what a transaction read is still true when it writes. Within one process writers
queue in order; SQLite's own waiting, by polling, is left for other processes.

A file that is removed stays writable for whoever has it open, and what is committed then is in no file that anybody
will ever find. So each transaction that may write looks whether the file is still there before it is committed.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncTransaction, create_async_engine
from sqlalchemy.pool import NullPool

from ostraka_consumers.uninterrupted import uninterrupted
from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.limits import DATABASE_CONNECTIONS, DATABASE_WAIT

from .engine import Store, Transaction, nothing
from .sqlite_changes import watch

T = TypeVar("T")

_WRITES: Final = "ostraka_writes"
_IS_THERE: Final = "ostraka_file_is_there"
_ASK_WHETHER_IT_IS_THERE: Final = f"SELECT {_IS_THERE}()"


class SqliteStore(Store):
    """The database in one file.

    Args:
        path: the file; it must have been migrated.
    """

    dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._engine: AsyncEngine = create_async_engine(
            f"sqlite+aiosqlite:///{path}",
            pool_size=DATABASE_CONNECTIONS,
            max_overflow=0,
            pool_timeout=DATABASE_WAIT,
            hide_parameters=True,
        )
        prepare(self._engine.sync_engine)
        # A statement through the pool costs several changes of thread; work() costs two for all of them.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ostraka-store")
        self._thread_engine = create_engine(
            f"sqlite:///{path}", poolclass=StaticPool, hide_parameters=True, execution_options={_WRITES: True}
        )
        prepare(self._thread_engine)
        self._closed = False

    @asynccontextmanager
    async def listen(self, callback: Callable[[], None]) -> AsyncIterator[None]:
        """See ``Store``. Our own commits are heard too."""
        async with watch(self._path, callback):
            yield

    async def close(self) -> None:
        """See ``Store``."""
        await self._engine.dispose()
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._thread_engine.dispose)
            self._thread.shutdown(wait=False)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Transaction]:
        async with self._engine.connect() as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Transaction]:
        async with self._turn(), self._announcing(nothing) as connection:
            yield connection

    @asynccontextmanager
    async def _announcing(self, committed: Callable[[], None]) -> AsyncIterator[Transaction]:
        async with self._engine.connect() as plain:
            connection = await plain.execution_options(**{_WRITES: True})
            transaction = await connection.begin()
            try:
                yield connection
            except BaseException:
                await uninterrupted(transaction.rollback())
                raise
            await uninterrupted(_finish(transaction, committed))

    async def _working(self, job: Callable[[Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        return await uninterrupted(loop.run_in_executor(self._thread, self._work, job))

    def _work(self, job: Callable[[Connection], T]) -> T:
        with self._thread_engine.begin() as connection:
            return job(connection)


async def _finish(transaction: AsyncTransaction, committed: Callable[[], None]) -> None:
    await transaction.commit()
    committed()


@contextmanager
def sqlite_connection(path: Path) -> Iterator[Connection]:
    """One connection inside a transaction that may write. Blocks. Raises SQLAlchemy's errors."""
    engine = create_engine(
        f"sqlite:///{path}", poolclass=NullPool, hide_parameters=True, execution_options={_WRITES: True}
    )
    prepare(engine)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def create_file(path: Path) -> None:
    """See that the file is there, for its owner's eyes only. Blocks.

    Raises:
        StoreUnavailable: it cannot be made.
    """
    try:
        path.touch(mode=0o600)
    except OSError as error:
        raise StoreUnavailable(f"cannot open {path}: {error.strerror}") from error


def prepare(engine: Engine) -> None:
    """Give every connection of ``engine`` the settings above, and transactions that begin as they should."""

    path = str(engine.url.database)

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, _record: object) -> None:
        # Python's sqlite3 would begin transactions by itself, too late and never for reads.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(DATABASE_WAIT * 1000)}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        # As a function of the database it runs in the thread of the connection, where it may block.
        connection.create_function(_IS_THERE, 0, _Watch(path).is_there)
        cursor.execute(_ASK_WHETHER_IT_IS_THERE)
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    @event.listens_for(engine, "commit")
    def committing(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        if writes and not connection.exec_driver_sql(_ASK_WHETHER_IT_IS_THERE).scalar():
            gone = sqlite3.OperationalError("its file is no longer where it was; put it back, or start again")
            raise OperationalError(_ASK_WHETHER_IT_IS_THERE, {}, gone)


class _Watch:
    """Whether the file at ``path`` is the one that was there at the first look."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._first: tuple[int, int] | None = None

    def is_there(self) -> bool:
        """Look. The first time it is."""
        now = _identity(self._path)
        self._first = self._first or now
        return now is not None and now == self._first


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
