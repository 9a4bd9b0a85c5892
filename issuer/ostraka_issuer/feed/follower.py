"""Followers get the feed in order: from memory while they keep up, from the database where they do not.

A follower holds a bounded number of new records. If they become too many, if a step is missing, or if a heartbeat tells
of records that never came, it forgets what it holds and reads the database from where it is. So nothing that is lost on
the way to it is lost to it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from ostraka_schemas.records import Head, Position

from ..limits import FEED_MEMORY, FEED_PAGE
from .log import StoredRecord

Read = Callable[[Position | None, int], Awaitable[Sequence[StoredRecord]]]


class Beat(NamedTuple):
    """A signed heartbeat and the head it vouches for."""

    head: Head
    raw: bytes


class Portion(NamedTuple):
    """Records in feed order, and the newest heartbeat if it is its turn: never before the records it vouches for."""

    records: tuple[StoredRecord, ...]
    beat: Beat | None


class Follower:
    """One reader of the feed, with its own place in it.

    Args:
        read: gives the records after a position, at most so many.
        after: where to begin; ``None`` is before the first record.
        memory: records held at most.
        page: records read or given at once at most.
    """

    def __init__(
        self, read: Read, *, after: Position | None = None, memory: int = FEED_MEMORY, page: int = FEED_PAGE
    ) -> None:
        self._read = read
        self._place = after
        self._memory: deque[StoredRecord] = deque()
        self._memory_max = memory
        self._page = page
        self._behind = True
        self._beat: Beat | None = None
        self._news = asyncio.Event()

    @property
    def place(self) -> Position | None:
        """The last record that was given."""
        return self._place

    def push(self, records: Sequence[StoredRecord]) -> None:
        """Tell of records that were just stored. Never blocks."""
        if len(self._memory) + len(records) > self._memory_max:
            self._memory.clear()
            self._behind = True
        else:
            self._memory.extend(records)
        self._news.set()

    def push_beat(self, beat: Beat) -> None:
        """Tell of a heartbeat; one that was not taken yet is replaced."""
        self._beat = beat
        self._news.set()

    def rewind(self, after: Position | None) -> None:
        """Go on after ``after``, from the database. Only for whoever takes."""
        self._place = after
        self._memory.clear()
        self._behind = True
        self._news.set()

    async def take(self) -> Portion:
        """Wait for what comes next and return it.

        Raises:
            StoreUnavailable: the database does not answer; the place is kept.
        """
        while True:
            self._news.clear()
            records = await self._catch_up() if self._behind else self._recall()
            beat = self._due_beat()
            if records or beat:
                return Portion(tuple(records), beat)
            if not self._behind:
                await self._news.wait()

    async def _catch_up(self) -> Sequence[StoredRecord]:
        # Cleared before the read: what overflows meanwhile sets it again.
        self._behind = False
        try:
            records = await self._read(self._place, self._page)
        except BaseException:
            self._behind = True
            raise
        if records:
            self._place = records[-1].position
        while self._memory and self._is_old(self._memory[0]):
            self._memory.popleft()
        if len(records) == self._page or (self._memory and not self._is_next(self._memory[0])):
            self._behind = True
        if not records and not self._memory and not self._behind and self._is_ahead(self._beat):
            self._beat = None  # The database knows no such record: nothing to wait for.
        return records

    def _recall(self) -> list[StoredRecord]:
        records: list[StoredRecord] = []
        while self._memory and len(records) < self._page:
            record = self._memory[0]
            if not self._is_old(record):
                if not self._is_next(record):
                    self._behind = True
                    break
                records.append(record)
                self._place = record.position
            self._memory.popleft()
        return records

    def _due_beat(self) -> Beat | None:
        beat = self._beat
        if beat is None:
            return None
        if self._is_ahead(beat):
            # It vouches for records that are not here. They are stored, so they can be read.
            self._behind = self._behind or not self._memory
            return None
        self._beat = None
        return beat

    def _is_ahead(self, beat: Beat | None) -> bool:
        return beat is not None and (self._place is None or beat.head.position > self._place)

    def _is_old(self, record: StoredRecord) -> bool:
        return self._place is not None and record.position <= self._place

    def _is_next(self, record: StoredRecord) -> bool:
        epoch, seq = record.position
        if self._place is None:
            return seq == 1
        return epoch == self._place.epoch and seq == self._place.seq + 1


class Followers:
    """Everyone who follows the feed in this process."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._open: set[Follower] = set()
        self._beat: Beat | None = None
        self._heard = asyncio.Event()

    def open(self, *, after: Position | None = None, memory: int = FEED_MEMORY) -> Follower:
        """A new follower."""
        follower = Follower(self._read, after=after, memory=memory)
        self._open.add(follower)
        return follower

    def close(self, follower: Follower) -> None:
        """Forget a follower."""
        self._open.discard(follower)

    def push(self, records: Sequence[StoredRecord]) -> None:
        """Tell everyone of records that were just stored."""
        for follower in self._open:
            follower.push(records)

    async def heard(self, position: Position) -> Beat:
        """A heartbeat that knows of ``position``; waits for it. The newest may be one that an earlier process made."""
        while self._beat is None or self._beat.head.position < position:
            self._heard.clear()
            await self._heard.wait()
        return self._beat

    def push_beat(self, beat: Beat) -> None:
        """Tell everyone of a heartbeat."""
        self._beat = beat
        self._heard.set()
        for follower in self._open:
            follower.push_beat(beat)
