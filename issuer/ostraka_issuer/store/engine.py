"""The database: what both kinds have in common. Transactions, and our errors only.

========================  ==========================================  ================================================
..                        SQLite (``sqlite.py``)                      PostgreSQL (``postgres.py``)
========================  ==========================================  ================================================
``read()``                one state                                   one state (REPEATABLE READ, READ ONLY)
``write()``               alone                                       beside other writers (READ COMMITTED)
``ask()``                 one state                                   one state
``apply()``               alone                                       beside other writers; nothing but the statement
``announce()``, ``work()``  alone                                     alone among their kind, in every process
========================  ==========================================  ================================================

So in ``announce()`` and ``work()`` the order of commits is the order of intents, and the head of the feed that was read
is the head that is followed. What else a transaction must keep from changing it locks: see ``locks``.
"""

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from sqlalchemy import Connection, Row, Select, Update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from ostraka_issuer.errors import BadRequest, StoreUnavailable
from ostraka_issuer.limits import DATABASE_WAIT, STORE_TROUBLE

T = TypeVar("T")

Transaction = AsyncConnection
"""What the store hands out: a connection inside a transaction."""

Dialect = Literal["sqlite", "postgresql"]


class Companion(Protocol):
    """Adds to every transaction that has something to announce, before it is committed."""

    def join(self, connection: Connection) -> Callable[[], None] | None:
        """Work in the transaction. Returns what must be called right after its commit, in the order of commits."""
        ...


class Store(ABC):
    """The issuer's database: ``open_store`` makes one.

    Use ``read()``, ``write()``, ``ask()``, ``apply()``, ``announce()``, ``work()`` and ``listen()``, then ``close()``.

    Attributes:
        dialect: which kind it is.
        companion: joins the transactions of ``announce()``; there may be none.
    """

    dialect: ClassVar[Dialect]

    def __init__(self) -> None:
        self._writers = asyncio.Lock()
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
        with ours():
            async with self._reading() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """A transaction that may write: committed at the end of the block, rolled back by an exception.

        Raises:
            StoreUnavailable: no turn within ``DATABASE_WAIT``, or the database cannot be written; nothing was changed.
            BadRequest: a text that the database cannot hold.
        """
        with ours(), self._watched():
            async with self._writing() as connection:
                yield connection

    async def ask(self, query: "Select[Any]", values: Mapping[str, Any]) -> "Sequence[Row[Any]]":
        """The rows of one query: ``read()`` for what needs no second look, and the cheapest way to have it.

        Raises:
            StoreUnavailable: as for ``read()``. BadRequest: a text that the database cannot hold.
        """
        with ours():
            return await self._asking(query, values)

    async def apply(self, change: Update, values: Mapping[str, Any]) -> int:
        """Carry out one statement; it is committed when this returns. Returns how many rows it changed.

        Raises:
            StoreUnavailable, BadRequest: as for ``write()``.
        """
        with ours(), self._watched():
            return await self._applying(change, values)

    @asynccontextmanager
    async def announce(self) -> AsyncIterator[Transaction]:
        """``write()``, for a change that the feed must learn of: what it announces gets its place by the same commit.

        Without a companion the intent waits for the feed, in whatever process it runs.

        Raises:
            StoreUnavailable, BadRequest: as for ``write()``.
        """
        companion = self.companion
        told: list[Callable[[], None]] = []

        def committed() -> None:
            for tell in told:
                tell()

        with ours():
            async with self._turn():
                with self._watched():
                    async with self._announcing(committed) as connection:
                        yield connection
                        if companion is not None and (tell := await connection.run_sync(companion.join)) is not None:
                            told.append(tell)

    async def work(self, job: Callable[[Connection], T]) -> T:
        """Run ``job`` in one transaction that may write, with as few changes of thread as can be.

        It is for the path on which every verifier waits. A cancellation is raised when the transaction has ended. On
        PostgreSQL ``job`` runs on the event loop, between the statements' answers: it must take a few ms at most.

        Raises:
            StoreUnavailable: as for ``write()``.
        """
        with ours():
            async with self._turn():
                with self._watched():
                    return await self._working(job)

    @abstractmethod
    def listen(self, callback: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """Call ``callback`` soon after another process committed with ``announce()`` or ``work()``.

        It may also be called without a reason, never from another thread, and misses nothing that is committed after
        the block was entered: a connection that broke is made again, and whoever listens is told to look.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close every connection. The second time has no effect."""

    @abstractmethod
    def _reading(self) -> AbstractAsyncContextManager[Transaction]: ...

    @abstractmethod
    def _writing(self) -> AbstractAsyncContextManager[Transaction]: ...

    async def _asking(self, query: "Select[Any]", values: Mapping[str, Any]) -> "Sequence[Row[Any]]":
        async with self._reading() as connection:
            rows: Sequence[Row[Any]] = (await connection.execute(query, values)).all()
            return rows

    async def _applying(self, change: Update, values: Mapping[str, Any]) -> int:
        async with self._writing() as connection:
            return int((await connection.execute(change, values)).rowcount)

    @abstractmethod
    def _announcing(self, committed: Callable[[], None]) -> AbstractAsyncContextManager[Transaction]:
        """A transaction within the turn. ``committed`` is called right after its commit, whoever is cancelled then."""

    @abstractmethod
    async def _working(self, job: Callable[[Connection], T]) -> T: ...

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One at a time within this process."""
        try:
            async with asyncio.timeout(DATABASE_WAIT):
                await self._writers.acquire()
        except TimeoutError as error:
            raise StoreUnavailable(f"the database had no turn for a writer within {DATABASE_WAIT:.0f} s") from error
        try:
            yield
        finally:
            self._writers.release()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise  # The database is well: it refused.
        except DBAPIError as error:
            self._failed(str(error.orig))
            raise
        except StoreUnavailable as error:
            self._failed(str(error))
            raise
        else:
            self._failed_at = -math.inf

    def _failed(self, why: str) -> None:
        self._failed_at, self._failure = _now(), f"cannot be written: {why}"


def nothing() -> None:
    """Nobody wants to hear of the commit."""


def _now() -> float:
    return asyncio.get_running_loop().time()


@contextmanager
def ours() -> Iterator[None]:
    """Nothing but our own errors leaves the block, as far as they are the database's."""
    try:
        yield
    except DBAPIError as error:
        raise StoreUnavailable(f"the database did not do it: {error.orig}") from error
    except PoolTimeout as error:
        raise StoreUnavailable(f"the database had no connection free within {DATABASE_WAIT:.0f} s") from error
    except UnicodeEncodeError:
        # Without a cause: it would repeat the text.
        raise BadRequest("a text holds what is no character") from None
