"""A copy that is cut off anywhere, or damaged in any byte: less may be known of it, but nothing else, and no alarm."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ostraka_consumers.persistence import frames
from ostraka_consumers.persistence.store import Reader, Store
from ostraka_schemas.records import Position

from .lives import Story, living, new_verifier, position, read_back, restored

FILES = {
    "roots": frames.ROOTS,
    "snapshot": frames.SNAPSHOT,
    "journal": frames.JOURNAL,
    "position": frames.POSITION,
}
ALL = Position(1, 7)


@pytest.fixture(scope="module")
def story() -> Story:
    return Story(snapshot=True)


@pytest.fixture
async def directory(tmp_path: Path, story: Story) -> Path:
    async with living(story.issuer, tmp_path / "state", story.raws):
        pass
    return tmp_path / "state"


Known = Callable[[], Awaitable[Position | None]]


@pytest.fixture
def known(story: Story, directory: Path) -> Known:
    """Reads back, and checks that only what was true is known; what reads the same frame by frame, once only."""
    seen: dict[Any, Position | None] = {}

    def content(name: str, mark: bytes) -> tuple[bytes, ...]:
        with Reader(directory / name, mark) as reader:
            return tuple(found.payload for found in reader.batch())

    async def known() -> Position | None:
        key = tuple(content(name, mark) for name, mark in FILES.items())
        if key not in seen:
            verifier = new_verifier(story.issuer, None)
            await read_back(Store(directory), verifier)
            story.reference.check(verifier)
            seen[key] = position(verifier)
        return seen[key]

    return known


@pytest.mark.parametrize("name", FILES)
async def test_cut_off_at_any_byte(directory: Path, known: Known, name: str) -> None:
    whole = (directory / name).read_bytes()
    for length in range(len(whole)):
        (directory / name).write_bytes(whole[:length])
        at = await known()
        assert at == ALL if name == "position" else at is None or at <= ALL
        assert name != "position" or Store(directory).read_position() is None
    (directory / name).write_bytes(whole)
    assert await known() == ALL


@pytest.mark.parametrize("name", FILES)
async def test_any_byte_flipped(directory: Path, known: Known, name: str) -> None:
    whole = (directory / name).read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << (at % 8)
        (directory / name).write_bytes(damaged)
        found = await known()
        assert found == ALL if name == "position" else found is None or found < ALL or name == "roots"
        assert name != "position" or Store(directory).read_position() is None


@pytest.mark.parametrize("name", FILES)
async def test_whatever_is_damaged_a_life_later_all_is_well_again(story: Story, directory: Path, name: str) -> None:
    whole = (directory / name).read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:-1], whole[:40] + b"\0" * len(whole), b"\xff" * len(whole)):
        (directory / name).write_bytes(damaged)
        async with living(story.issuer, directory, story.raws) as verifier:
            assert position(verifier) == ALL
        again = await restored(story.issuer, directory)
        story.reference.check(again)
        assert position(again) == ALL
        assert Store(directory).read_position() == ALL


@pytest.mark.parametrize("name", FILES)
async def test_whatever_lies_there_instead_is_as_nothing(story: Story, directory: Path, name: str) -> None:
    for make in (lambda path: path.mkdir(), os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        (directory / name).unlink()
        make(directory / name)
        async with living(story.issuer, directory, story.raws) as verifier:
            assert position(verifier) == ALL
        path = directory / name
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        path.write_bytes(b"")
