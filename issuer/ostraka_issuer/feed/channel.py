"""The second channel: the feed for everyone who reads it over HTTP, from one copy in memory.

Readers have a place each and nothing else. They look what stands after it, and wait for the bell if nothing does.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from ostraka_schemas.records import Position

from ..limits import FEED_ANSWER_BYTES, FEED_ANSWER_RECORDS
from .bell import Bell
from .follower import Beat
from .frames import START, Entry, beat_frame, make_entry
from .log import StoredRecord
from .recent import Recent
from .shared_read import SharedRead

Read = Callable[[Position | None, int], Awaitable[Sequence[StoredRecord]]]


class Page(NamedTuple):
    """Records in feed order.

    Attributes:
        until: the place after them.
        complete: nothing is known behind them.
    """

    entries: Sequence[Entry]
    until: Position
    complete: bool


class Channel:
    """What readers outside this process may know, at this moment.

    Args:
        read: gives stored records after a position, at most so many.
        recent: the newest records; for tests.
    """

    def __init__(self, read: Read, recent: Recent | None = None) -> None:
        self._recent: Final = recent or Recent()
        self._shared: Final = SharedRead(_encoding(read))
        self._next_beat: Beat | None = None
        self._beat: Beat | None = None
        self._beat_frame: bytes | None = None
        self._closed = False
        self.new_record: Final = Bell()
        self.news: Final = Bell()

    @property
    def beat(self) -> Beat | None:
        """The newest heartbeat. Every record that it vouches for can be read."""
        return self._beat

    @property
    def beat_frame(self) -> bytes | None:
        """The same as a server-sent event, each time the same object."""
        return self._beat_frame

    @property
    def closed(self) -> bool:
        """Whether there will be no more news."""
        return self._closed

    def begin(self, records: Sequence[StoredRecord], *, whole: bool) -> None:
        """Start with the newest records that are stored.

        Args:
            whole: there are no others.
        """
        self._recent.add(map(make_entry, records), floor=START if whole else None)

    def push(self, records: Sequence[StoredRecord]) -> None:
        """Tell of records that were just stored, in feed order. Never blocks."""
        self._recent.add(map(make_entry, records))
        self._show_beat()
        self.new_record.ring()
        self.news.ring()

    def push_beat(self, beat: Beat) -> None:
        """Tell of a heartbeat. It is shown when the records that it vouches for are here.

        Two of one second and one head are the same bytes, and are no news.
        """
        if self._beat is not None and self._beat.raw == beat.raw:
            return
        self._next_beat = beat
        if self._show_beat():
            self.news.ring()

    def close(self) -> None:
        """End every wait: whoever reads is to go."""
        self._closed = True
        self.new_record.ring()
        self.news.ring()

    def has_after(self, place: Position) -> bool:
        """Whether a record stands after ``place``."""
        return self._recent.last is not None and self._recent.last > place

    async def after(
        self, place: Position, *, most: int = FEED_ANSWER_RECORDS, max_bytes: int = FEED_ANSWER_BYTES
    ) -> Page:
        """The records after ``place``, at most so many, and not many more bytes than that.

        Raises:
            StoreUnavailable: they are not in memory and the database does not answer.
        """
        if self._recent.covers(place) or not self.has_after(place):
            entries: Sequence[Entry] = self._recent.after(place, most)
        else:
            entries = (await self._shared.after(place))[:most]
        entries = _cut(entries, max_bytes)
        until = entries[-1].position if entries else place
        return Page(entries, until, not entries or not self.has_after(until))

    def _show_beat(self) -> bool:
        beat, last = self._next_beat, self._recent.last
        if beat is None or last is None or beat.head.position > last:
            return False
        self._beat, self._beat_frame, self._next_beat = beat, beat_frame(beat), None
        return True


def _encoding(read: Read) -> Callable[[Position, int], Awaitable[Sequence[Entry]]]:
    async def encoded(place: Position, most: int) -> Sequence[Entry]:
        return [make_entry(record) for record in await read(place, most)]

    return encoded


def _cut(entries: Sequence[Entry], max_bytes: int) -> Sequence[Entry]:
    size = 0
    for count, entry in enumerate(entries):
        size += len(entry.raw)
        if size > max_bytes and count:
            return entries[:count]
    return entries
