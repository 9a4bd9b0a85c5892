"""Server-sent events (HTML Living Standard §9.2.6), read with bounds: the server is not trusted either. Pure."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from ostraka_consumers import limits
from ostraka_schemas.limits import RECORD_MAX_BYTES

from ._lines import Lines, TooLong

_BOM: Final = b"\xef\xbb\xbf"
_FIELD_BYTES: Final = 64
"""The name of a field, its colon and its space: more than ``heartbeat:`` and its like need."""


class Event(NamedTuple):
    """One event, or a comment, or whatever else came to nothing: then ``data`` is empty."""

    kind: str
    data: bytes


NOTHING: Final = Event("", b"")


class EventReader:
    """Reads one stream. ``id`` and ``retry`` are not used: what was applied, and how to be patient, is known here."""

    def __init__(self) -> None:
        self._lines: Final = Lines(RECORD_MAX_BYTES + _FIELD_BYTES)
        self._first = True
        self._begin()

    def _begin(self) -> None:
        self._kind = ""
        self._data: list[bytes] = []
        self._size = 0
        self._count = 0

    def take(self, chunk: bytes) -> Iterator[Event]:
        """The events that end in this chunk; one without data for each comment and each event that has none.

        Raises:
            TooLong: while iterating; a line, or an event, is larger than any of ours.
        """
        for line in self._lines.take(chunk):
            event = self._read(line.removeprefix(_BOM) if self._first else line)
            self._first = False
            if event is not None:
                yield event

    def _read(self, line: bytes) -> Event | None:
        if not line:
            event = Event(self._kind or "message", b"\n".join(self._data)) if self._data else NOTHING
            self._begin()
            return event
        if line.startswith(b":"):
            return NOTHING
        self._field(line)
        return None

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        self._count += 1
        self._size += len(value)
        if self._count > limits.HTTP_EVENT_LINES or self._size > RECORD_MAX_BYTES + _FIELD_BYTES:
            raise TooLong("an event larger than any of the feed")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._kind = value.decode("ascii", "replace")
