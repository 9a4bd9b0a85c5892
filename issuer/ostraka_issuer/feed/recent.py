"""The newest records, held in memory for everyone who reads the feed over HTTP."""

from bisect import bisect_right
from collections.abc import Iterable

from ostraka_schemas.records import Position

from ..limits import FEED_RECENT_BYTES, FEED_RECENT_RECORDS
from .frames import START, Entry


class Recent:
    """The end of the feed, without a hole.

    It is the queue of every reader at the same time: each has its place in it, and whoever falls out at its old end
    reads the database. What five thousand readers have not read yet is here once, not once for each of them.

    Args:
        most: records held.
        max_bytes: bytes of them held.
    """

    def __init__(self, *, most: int = FEED_RECENT_RECORDS, max_bytes: int = FEED_RECENT_BYTES) -> None:
        self._most = most
        self._max_bytes = max_bytes
        self._bytes = 0
        self._places: list[Position] = []
        self._entries: list[Entry] = []
        self._floor: Position | None = None

    @property
    def last(self) -> Position | None:
        """The newest record."""
        return self._places[-1] if self._places else None

    def add(self, entries: Iterable[Entry], *, floor: Position | None = None) -> None:
        """Add what follows. Where it does not follow, everything before the hole is forgotten.

        Args:
            floor: everything after this is in ``entries``; by default, that is so of a record's predecessor.
        """
        for entry in entries:
            if not self._places or not _follows(self._places[-1], entry.position):
                self._forget()
                self._floor = _before(entry.position) if floor is None else floor
            self._places.append(entry.position)
            self._entries.append(entry)
            self._bytes += len(entry.raw)
        self._trim()

    def covers(self, place: Position) -> bool:
        """Whether every record after ``place`` is here."""
        return self._floor is not None and place >= self._floor

    def after(self, place: Position, most: int) -> list[Entry]:
        """The first ``most`` records after ``place``, which must be covered."""
        begin = bisect_right(self._places, place)
        return self._entries[begin : begin + most]

    def _forget(self) -> None:
        self._places.clear()
        self._entries.clear()
        self._bytes = 0

    def _trim(self) -> None:
        drop = 0
        while len(self._places) - drop > self._most or (self._bytes > self._max_bytes and drop < len(self._places) - 1):
            self._bytes -= len(self._entries[drop].raw)
            drop += 1
        if drop:
            self._floor = self._places[drop - 1]
            del self._places[:drop]
            del self._entries[:drop]


def _follows(last: Position, next_: Position) -> bool:
    if next_.epoch == last.epoch:
        return next_.seq == last.seq + 1
    return next_.epoch > last.epoch and next_.seq == 1


def _before(position: Position) -> Position:
    # What an earlier epoch had is not known from here, so the first record of an epoch covers its own epoch only.
    return START if position == Position(1, 1) else Position(position.epoch, position.seq - 1)
