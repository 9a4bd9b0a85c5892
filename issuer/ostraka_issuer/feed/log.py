"""The feed as the database keeps it: the bytes of every record, in order. What was stored is never signed again."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Executable, Select, func, insert, select, tuple_, update

from ostraka_consumers.uninterrupted import uninterrupted
from ostraka_schemas.records import Head, Position

from ..limits import FEED_PAGE
from ..store import Store
from ..store.tables import FEED_RECORDS

_T: Final = FEED_RECORDS.c
_PLACE: Final = tuple_(_T.epoch, _T.seq)
_START: Final = Position(0, 0)
_HEAD: Final = select(_T.epoch, _T.seq, _T.hash).order_by(_T.epoch.desc(), _T.seq.desc()).limit(1)
_RECORDS: Final = select(_T.epoch, _T.seq, _T.hash, _T.raw, _T.txn, _T.created_at)


class StoredRecord(NamedTuple):
    """A signed record. ``created_at`` is the wall clock when it was sequenced."""

    position: Position
    hash: bytes
    raw: bytes
    txn: str
    created_at: float


class Backlog(NamedTuple):
    """Records that wait to be published, and when the oldest of them was made."""

    size: int
    oldest: float | None


def read_head(connection: Connection) -> Head | None:
    """The newest record, or ``None`` if there is none yet."""
    return _head(connection.execute(_HEAD).all())


def records_after(connection: Connection, position: Position | None, limit: int) -> list[StoredRecord]:
    """The ``limit`` records after ``position``, in feed order; ``None`` is before the first."""
    return _records(connection.execute(_after(position, limit)).all())


def append(connection: Connection, records: Sequence[StoredRecord]) -> None:
    """Store records behind the head."""
    rows = [
        {
            "epoch": record.position.epoch,
            "seq": record.position.seq,
            "hash": record.hash,
            "raw": record.raw,
            "txn": record.txn,
            "created_at": record.created_at,
        }
        for record in records
    ]
    connection.execute(insert(FEED_RECORDS), rows)


class FeedLog:
    """Questions about the stored feed, each in a transaction of its own.

    All methods raise StoreUnavailable if the database does not answer.

    Args:
        guard: called inside each transaction that changes something; what it raises ends the transaction.
    """

    def __init__(self, store: Store, guard: Callable[[Connection], None] = lambda _: None) -> None:
        self._store = store
        self._guard = guard

    async def head(self) -> Head | None:
        """The newest committed record."""
        return _head(await self._ask(_HEAD))

    async def after(self, position: Position | None, limit: int) -> list[StoredRecord]:
        """The ``limit`` records after ``position``, in feed order; ``None`` is before the first."""
        return _records(await self._ask(_after(position, limit)))

    async def before(self, position: Position | None, limit: int) -> list[StoredRecord]:
        """The ``limit`` records before ``position``, in feed order; ``None`` is behind the last."""
        query = _RECORDS.order_by(_T.epoch.desc(), _T.seq.desc()).limit(limit)
        if position is not None:
            query = query.where(_PLACE < _place(position))
        return _records(await self._ask(query))[::-1]

    async def newest(self, most: int, max_bytes: int) -> tuple[list[StoredRecord], bool]:
        """The newest records, in feed order, until there are so many or so large, and whether there are no others."""
        found: list[StoredRecord] = []
        while True:
            page = await self.before(found[0].position if found else None, FEED_PAGE)
            found[:0] = page
            if len(page) < FEED_PAGE:
                return found, True
            if len(found) >= most or sum(len(record.raw) for record in found) >= max_bytes:
                return found, False

    async def hashes_after(self, position: Position | None, limit: int) -> list[Head]:
        """Places and hashes of the ``limit`` records after ``position``."""
        query = (
            select(_T.epoch, _T.seq, _T.hash).where(_PLACE > _place(position)).order_by(_T.epoch, _T.seq).limit(limit)
        )
        return [Head(Position(row.epoch, row.seq), row.hash) for row in await self._ask(query)]

    async def hash_at(self, position: Position) -> bytes | None:
        """The hash of the record at ``position``, or ``None`` if there is none."""
        query = select(_T.hash).where(_T.epoch == position.epoch, _T.seq == position.seq)
        return next((row.hash for row in await self._ask(query)), None)

    async def position_of(self, txn: str) -> Position | None:
        """Where the record of ``txn`` stands; the newest place if a later epoch holds it too."""
        query = select(_T.epoch, _T.seq).where(_T.txn == txn).order_by(_T.epoch.desc(), _T.seq.desc()).limit(1)
        return next((Position(row.epoch, row.seq) for row in await self._ask(query)), None)

    async def published(self) -> Position | None:
        """The newest record marked as published; everything before it is marked too."""
        query = (
            select(_T.epoch, _T.seq)
            .where(_T.published_at.is_not(None))
            .order_by(_T.epoch.desc(), _T.seq.desc())
            .limit(1)
        )
        return next((Position(row.epoch, row.seq) for row in await self._ask(query)), None)

    async def is_marked(self, position: Position) -> bool:
        """Whether the record at ``position`` is marked as published."""
        query = select(_T.published_at).where(_T.epoch == position.epoch, _T.seq == position.seq)
        return any(row.published_at is not None for row in await self._ask(query))

    async def backlog(self, published: Position | None) -> Backlog:
        """How much stands behind ``published``."""
        query = select(func.count(), func.min(_T.created_at)).where(_PLACE > _place(published))
        ((size, oldest),) = await self._ask(query)
        return Backlog(size, oldest)

    async def mark_published(self, after: Position | None, until: Position, at: float) -> None:
        """Mark the records after ``after``, up to and with ``until``, as published at the wall clock time ``at``."""
        change = update(FEED_RECORDS).where(_PLACE > _place(after), _PLACE <= _place(until), _T.published_at.is_(None))
        await self._change(change.values(published_at=at))

    async def mark_unpublished(self, after: Position | None) -> None:
        """Take the mark from every record after ``after``: they must be sent again."""
        change = update(FEED_RECORDS).where(_PLACE > _place(after), _T.published_at.is_not(None))
        await self._change(change.values(published_at=None))

    async def _ask(self, query: Executable) -> Sequence[Any]:
        return await uninterrupted(self._rows(query))

    async def _rows(self, query: Executable) -> Sequence[Any]:
        async with self._store.read() as transaction:
            return (await transaction.execute(query)).all()

    async def _change(self, change: Executable) -> None:
        def work(connection: Connection) -> None:
            self._guard(connection)
            connection.execute(change)

        await self._store.work(work)


def _head(rows: Sequence[Any]) -> Head | None:
    return next((Head(Position(row.epoch, row.seq), row.hash) for row in rows), None)


def _after(position: Position | None, limit: int) -> Select[Any]:
    return _RECORDS.where(_PLACE > _place(position)).order_by(_T.epoch, _T.seq).limit(limit)


def _records(rows: Sequence[Any]) -> list[StoredRecord]:
    return [StoredRecord(Position(epoch, seq), *rest) for (epoch, seq, *rest) in rows]


def _place(position: Position | None) -> ColumnElement[Any]:
    return tuple_(*(position or _START))
