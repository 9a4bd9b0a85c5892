"""The feed as HTTP carries it: the same signed bytes, one a line or one a server-sent event.

Server-sent events are those of the HTML standard (§9.2): ``id`` is the position, so that a client that connects again
says by itself, in ``Last-Event-ID``, where it was.
"""

from collections.abc import Iterable
from typing import NamedTuple

from ostraka_schemas.records import Position

from .follower import Beat
from .log import StoredRecord

START = Position(0, 0)
"""Before the first record."""


class Entry(NamedTuple):
    """A record, ready to be sent: encoded once, however many read it.

    Attributes:
        frame: the record as a server-sent event.
    """

    position: Position
    raw: bytes
    frame: bytes


def make_entry(record: StoredRecord) -> Entry:
    """Encode a stored record."""
    frame = b"id: %d:%d\nevent: record\ndata: %b\n\n" % (*record.position, record.raw)
    return Entry(record.position, record.raw, frame)


def beat_frame(beat: Beat) -> bytes:
    """A heartbeat as a server-sent event. It has no ``id``: it is no place in the feed."""
    return b"event: heartbeat\ndata: %b\n\n" % beat.raw


def lines(raws: Iterable[bytes]) -> bytes:
    """Compact JWS, one a line."""
    return b"".join(b"%b\n" % raw for raw in raws)
