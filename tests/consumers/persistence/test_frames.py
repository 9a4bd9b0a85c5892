import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostraka_consumers.persistence import frames
from ostraka_schemas.limits import SNAPSHOT_PART_MAX_BYTES

PAYLOADS = [b"one", b"{}", b"\0" * 9, b"the last"]
WHOLE = b"".join(frames.document(frames.JOURNAL, PAYLOADS))


def payloads(raw: bytes, mark: bytes = frames.JOURNAL) -> list[bytes]:
    return [found.payload for found in frames.read(io.BytesIO(raw), mark)]


def test_what_was_written_is_read_and_where_each_frame_ends() -> None:
    found = list(frames.read(io.BytesIO(WHOLE), frames.JOURNAL))
    assert [each.payload for each in found] == PAYLOADS
    for number, each in enumerate(found, start=1):
        assert payloads(WHOLE[: each.end]) == PAYLOADS[:number]
    assert found[-1].end == len(WHOLE)


def test_what_is_cut_off_is_read_up_to_there() -> None:
    ends = [found.end for found in frames.read(io.BytesIO(WHOLE), frames.JOURNAL)]
    for length in range(len(WHOLE)):
        assert payloads(WHOLE[:length]) == PAYLOADS[: sum(end <= length for end in ends)]


def test_no_damaged_byte_goes_unnoticed() -> None:
    for at in range(len(WHOLE)):
        for bit in range(8):
            damaged = bytearray(WHOLE)
            damaged[at] ^= 1 << bit
            found = payloads(bytes(damaged))
            assert len(found) < len(PAYLOADS)
            assert found == PAYLOADS[: len(found)]


@pytest.mark.parametrize("tail", [b"\0" * 64, b"\xff" * 64, (SNAPSHOT_PART_MAX_BYTES + 1).to_bytes(4) + b"\0" * 64])
def test_what_a_power_cut_leaves_behind_is_no_frame(tail: bytes) -> None:
    assert payloads(WHOLE + tail) == PAYLOADS


def test_each_file_says_what_it_is() -> None:
    marks = [frames.ROOTS, frames.SNAPSHOT, frames.JOURNAL, frames.POSITION]
    for mark in marks:
        for other in marks:
            assert (payloads(b"".join(frames.document(mark, PAYLOADS)), other) == PAYLOADS) is (mark == other)


@given(st.binary(max_size=200))
def test_anything_can_be_read(raw: bytes) -> None:
    for found in frames.read(io.BytesIO(frames.JOURNAL + raw), frames.JOURNAL):
        assert frames.frame(found.payload) in raw
