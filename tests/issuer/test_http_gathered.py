"""What is written in pieces is sent in as few as can be, in order, and whole."""

import asyncio
from typing import Any

import pytest

from ostraka_issuer.http.gathered import Gathered


class Wire(asyncio.Transport):
    """Notes what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.ended = ""
        self.reading = True

    def write(self, data: Any) -> None:
        assert not self.ended
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def is_closing(self) -> bool:
        return bool(self.ended)

    def get_write_buffer_size(self) -> int:
        return 100

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 1)}.get(name, default)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


async def round_once() -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("pieces", "sent"),
    [
        ([b"head"], [b"head"]),
        ([b"head", b"body"], [b"headbody"]),
        ([b"head", b"body", b"more"], [b"headbody", b"more"]),
        ([bytearray(b"head"), memoryview(b"body")], [b"headbody"]),
        ([b"", b"body"], [b"body"]),
    ],
    ids=["one", "two", "three", "not bytes", "empty"],
)
async def test_pieces_of_one_turn(pieces: list[Any], sent: list[bytes]) -> None:
    wire = Wire()
    gathered = Gathered(wire)
    for piece in pieces:
        gathered.write(piece)
    await round_once()
    assert wire.sent == sent
    await round_once()
    assert wire.sent == sent


async def test_what_was_kept_may_change_afterwards() -> None:
    wire, piece = Wire(), bytearray(b"head")
    Gathered(wire).write(piece)
    piece[:] = b"gone"
    await round_once()
    assert wire.sent == [b"head"]


async def test_the_end_brings_what_is_kept_and_an_abrupt_one_does_not() -> None:
    for end, sent in (("closed", [b"head"]), ("aborted", [])):
        wire = Wire()
        gathered = Gathered(wire)
        gathered.write(b"head")
        assert gathered.get_write_buffer_size() == 104
        (gathered.close if end == "closed" else gathered.abort)()
        await round_once()
        assert (wire.sent, wire.ended, gathered.is_closing()) == (sent, end, True)


async def test_everything_else_is_the_other_transports() -> None:
    wire = Wire()
    gathered = Gathered(wire)
    seen = []
    for ask in (gathered.pause_reading, gathered.resume_reading):
        ask()
        seen.append(wire.reading)
    assert seen == [False, True]
    assert gathered.get_extra_info("peername") == ("127.0.0.1", 1)
    assert gathered.get_extra_info("socket", "none") == "none"
    assert not gathered.is_closing()
