"""Lines out of chunks, however they are cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostraka_consumers.sources._lines import Lines, TooLong


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(at), len(data)]
    return [data[low:high] for low, high in itertools.pairwise(edges)]


def read(chunks: list[bytes], most: int = 1_000) -> tuple[list[bytes], bytes]:
    lines = Lines(most)
    return [line for chunk in chunks for line in lines.take(chunk)], lines.rest()


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_three_ways_to_end_a_line(end: bytes) -> None:
    assert read([b"one" + end + end + b"two" + end + b"three"]) == ([b"one", b"", b"two"], b"three")


def test_both_ends_of_one_line_in_two_chunks() -> None:
    assert read([b"one\r", b"\ntwo\r", b"", b"\n", b"\n"]) == ([b"one", b"two", b""], b"")


@given(st.binary(max_size=60).map(lambda raw: raw.translate(bytes(b"a\r\n"[n % 3] for n in range(256)))), st.data())
def test_how_it_is_cut_makes_no_difference(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.lists(st.integers(0, len(data)), max_size=8))
    assert read(cut(data, at)) == read([data])


def test_a_line_may_be_as_long_as_it_may_and_no_longer() -> None:
    assert read([b"x" * 10 + b"\n"], most=10) == ([b"x" * 10], b"")
    with pytest.raises(TooLong):
        read([b"x" * 11], most=10)
    with pytest.raises(TooLong):
        read([b"x"] * 11, most=10)


def test_an_endless_line_is_not_kept() -> None:
    lines = Lines(1_000)
    for _ in range(10):
        assert list(lines.take(b"x" * 100)) == []
    with pytest.raises(TooLong):
        list(lines.take(b"x"))
