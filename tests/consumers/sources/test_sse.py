"""Server-sent events: what the standard asks for, and what a server that is not trusted may try."""

import pytest

from ostraka_consumers import limits
from ostraka_consumers.sources._lines import TooLong
from ostraka_consumers.sources._sse import NOTHING, Event, EventReader
from ostraka_schemas.limits import RECORD_MAX_BYTES


def read(*chunks: bytes) -> list[Event]:
    reader = EventReader()
    return [event for chunk in chunks for event in reader.take(chunk)]


def test_events_as_an_issuer_sends_them() -> None:
    assert read(b"id: 1:5\nevent: record\ndata: a.b.c\n\nevent: heartbeat\ndata: d.e.f\n\n") == [
        Event("record", b"a.b.c"),
        Event("heartbeat", b"d.e.f"),
    ]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"data:x\n\n", [Event("message", b"x")]),
        (b"data: x\r\rdata: y\r\n\r\n", [Event("message", b"x"), Event("message", b"y")]),
        (b"\xef\xbb\xbfdata: x\n\n", [Event("message", b"x")]),
        (b"data:  x\n\n", [Event("message", b" x")]),
        (b"data: x\ndata: y\n\n", [Event("message", b"x\ny")]),
        (b"data\n\n", [Event("message", b"")]),
        (b": comment\n\n", [NOTHING, NOTHING]),
        (b"event: record\n\ndata: x\n\n", [NOTHING, Event("message", b"x")]),
        (b"retry: 1\nid: 2\nother: 3\ndata: x\n\n", [Event("message", b"x")]),
        (b"Data: x\n\n", [NOTHING]),
        (b"event: \xff\ndata: x\n\n", [Event("\ufffd", b"x")]),
        (b"data: not ended", []),
    ],
)
def test_the_fine_print(sent: bytes, expected: list[Event]) -> None:
    assert read(sent) == expected
    assert read(*(sent[at : at + 1] for at in range(len(sent)))) == expected


def test_the_largest_record_fits() -> None:
    record = b"x" * RECORD_MAX_BYTES
    assert read(b"event: record\ndata: " + record + b"\n\n") == [Event("record", record)]


@pytest.mark.parametrize(
    "endless",
    [b"x", b"data: ", b"data: x\n", b"id: 1\n", b"\xff\n", b"data: " + b"x" * 1_000 + b"\n"],
    ids=["a line", "colons", "data", "ids", "garbage", "long data"],
)
def test_an_event_without_end_is_given_up(endless: bytes) -> None:
    reader = EventReader()
    many = (event for _ in range(10 * RECORD_MAX_BYTES) for event in reader.take(endless))
    with pytest.raises(TooLong):
        next(many)


def test_what_comes_to_nothing_is_said_line_by_line() -> None:
    # So that whoever counts sees a flood of it.
    assert read(b":\n" * 50 + b"\n" * 50) == [NOTHING] * 100


def test_lines_of_an_event_are_counted_anew_for_each() -> None:
    event = b"id: 1\n" * (limits.HTTP_EVENT_LINES - 1) + b"data: x\n\n"
    assert len(read(event * 3)) == 3
