"""Any call may fail, or be the last: what is read afterwards is what was true, and the next life completes it."""

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ostraka_consumers import limits
from ostraka_consumers.persistence import files, frames
from ostraka_consumers.persistence.store import Store
from ostraka_consumers.trust.core import TrustCore
from ostraka_consumers.trust.receipt import Kind, Taken
from ostraka_schemas.records import Position
from tests.support.fake_issuer import FakeIssuer

from .calls import before_each, write_half
from .lives import Story, essence, new_verifier, position, read_back


class Died(BaseException):
    """The process ended here."""


@pytest.fixture(scope="module", params=["snapshot", "epochs"])
def story(request: pytest.FixtureRequest) -> Story:
    return Story(epochs=2) if request.param == "epochs" else Story(snapshot=True)


@pytest.fixture
def items(story: Story) -> list[Taken]:
    """What takes effect of it, in that order."""
    taken: list[Taken] = []
    core = TrustCore(story.issuer.anchor, keep=taken.append)
    for raw in story.raws:
        core.receive(raw, story.issuer.clock.now())
    return taken


async def check(story: Story, directory: Path) -> Position | None:
    verifier = new_verifier(story.issuer, None)
    store = Store(directory)
    extent = await read_back(store, verifier)
    story.reference.check(verifier)
    at, noted = position(verifier), store.read_position()
    assert extent.tail == at or at is None or extent.tail is None
    # The position is written down after what led there, so the rest never lags behind it, whenever the process ended.
    assert noted is None or (at is not None and at >= noted) or (at is None and noted.epoch < story.issuer.epoch)
    return at


async def live(story: Story, directory: Path, items: Sequence[Taken]) -> None:
    """One life: read back, then keep whatever is beyond that."""
    store = Store(directory)
    store.open()
    try:
        verifier = new_verifier(story.issuer, None)
        await read_back(store, verifier)
        at = position(verifier)
        for number, item in enumerate(items):
            if at is None or item.position is None or item.position > at:
                store.keep([item])
                if store.tail is not None and number % 3 == 0:
                    store.note(store.tail)
    finally:
        store.close()


def when(number: int, then: Callable[[str, tuple[Any, ...]], None]) -> Callable[[str, tuple[Any, ...]], None]:
    """Do nothing, but with the call of that number."""
    count = 0

    def happen(name: str, args: tuple[Any, ...]) -> None:
        nonlocal count
        count += 1
        if count == number:
            then(name, args)

    return happen


def die(name: str, args: tuple[Any, ...]) -> None:
    if name == "write":
        write_half(args)
    raise Died


async def test_any_call_may_be_the_last(story: Story, items: list[Taken], tmp_path: Path) -> None:
    ends, number = set(), 1
    while True:
        directory = tmp_path / str(number)
        directory.mkdir()
        try:
            with before_each(directory, when(number, die)):
                await live(story, directory, items)
        except Died:
            pass
        else:
            break
        ends.add(await check(story, directory))
        await live(story, directory, items)
        assert await check(story, directory) == story.issuer.head.position
        number += 1
    assert number > 3 * len(items)
    last = story.issuer.head.position
    assert {None, last._replace(seq=last.seq - 1)} < ends


async def test_one_directory_through_death_after_death(story: Story, items: list[Taken], tmp_path: Path) -> None:
    before = None
    for number in [*range(1, 12), *range(12, 1, -1), 1_000]:
        try:
            with before_each(tmp_path, when(number, die)):
                await live(story, tmp_path, items)
        except Died:
            pass
        at = await check(story, tmp_path)
        assert before is None or at is None or at >= before
        before = at or before
    assert before == story.issuer.head.position


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
async def test_any_call_may_fail_and_is_made_again(story: Story, items: list[Taken], tmp_path: Path, code: int) -> None:
    def fail(name: str, args: tuple[Any, ...]) -> None:
        if name == "write":
            write_half(args)
        raise OSError(code, os.strerror(code))

    number = 1
    while True:
        directory = tmp_path / str(number)
        directory.mkdir()
        store = Store(directory)
        store.open()
        failed = 0
        with before_each(directory, when(number, fail)):
            steps: list[tuple[Callable[[Any], None], Any]] = [
                (store.keep, items),
                (store.note, story.issuer.head.position),
            ]
            for done, argument in steps:
                try:
                    done(argument)
                except OSError:
                    failed += 1
                    await check(story, directory)
                    done(argument)
        store.close()
        assert await check(story, directory) == story.issuer.head.position
        assert not [path for path in directory.iterdir() if path.suffix == ".new"]
        if not failed:
            break
        number += 1
    assert number > len(items)


async def test_the_same_twice_is_written_once(story: Story, items: list[Taken], tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.open()
    store.keep(items)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    store.keep([item for item in items if item.position is None or item.position.epoch == story.issuer.epoch])
    store.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


async def test_what_does_not_follow_is_not_kept(tmp_path: Path) -> None:
    story = Story()
    items = story.reference.taken
    records = [item for item in items if item.kind is Kind.RECORD]
    store = Store(tmp_path)
    store.open()
    tails = []
    for some in (records[1:], [*records[:3], *records[4:]], records):
        store.keep(some)
        tails.append(store.tail)
    assert tails == [None, Position(1, 3), story.issuer.head.position]
    store.close()


async def test_a_full_journal_is_dropped_and_begun_anew_with_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story()
    monkeypatch.setattr("ostraka_consumers.persistence.journal.STATE_JOURNAL_RECORDS", 4)
    store = Store(tmp_path)
    store.open()
    store.keep(story.reference.taken)
    store.note(story.issuer.head.position)
    assert store.tail is None
    assert {path.name for path in tmp_path.iterdir()} == {"lock", "roots", "position"}
    cold = new_verifier(story.issuer, None)
    await read_back(Store(tmp_path), cold)
    assert (position(cold), cold.core.root_version) == (None, 2)
    state = story.reference.verifier.core.state
    assert state is not None
    parts = (*story.issuer.snapshot(state), story.issuer.heartbeat())
    at = story.issuer.head.position
    story.reference.take(story.issuer.cut_client("web"))
    store.keep([Taken(Kind.SNAPSHOT, parts, at), story.reference.taken[-1]])
    store.close()
    again = new_verifier(story.issuer, None)
    await read_back(Store(tmp_path), again)
    assert essence(again) == story.reference.states[story.issuer.head.position]


async def test_a_journal_is_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story()
    monkeypatch.setattr("ostraka_consumers.persistence.journal.STATE_JOURNAL_BYTES", 3_000)
    store = Store(tmp_path)
    store.open()
    most = 0
    for item in story.reference.taken:
        store.keep([item])
        if (tmp_path / "journal").exists():
            most = max(most, (tmp_path / "journal").stat().st_size)
    store.close()
    assert store.tail is None
    assert 3_000 <= most < 3_000 + limits.STATE_READ_BYTES


async def test_root_documents_are_written_together_and_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = FakeIssuer()
    issuer.open()
    for _ in range(30):
        issuer.adopt_root(issuer.next_root())
    raws = issuer.root_files()
    taken = [Taken(Kind.ROOT, (raw,)) for raw in raws]
    read, written = 0, 0
    read_roots, replace = Store.read_roots, files.replace

    def reading(store: Store) -> list[bytes]:
        nonlocal read
        read += 1
        return read_roots(store)

    def replacing(path: Path, pieces: Iterable[bytes]) -> None:
        nonlocal written
        written += 1
        replace(path, pieces)

    monkeypatch.setattr(Store, "read_roots", reading)
    monkeypatch.setattr(files, "replace", replacing)
    store = Store(tmp_path)
    store.open()
    store.keep(taken[:20])
    for each in taken[20:]:
        store.keep([each])
    store.keep(taken)
    assert (read, written) == (1, 1 + len(raws) - 20)
    store.close()
    assert read_roots(Store(tmp_path)) == raws


async def test_the_position_only_grows(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.open()
    for epoch, seq, written in [(1, 9, (1, 9)), (1, 8, (1, 9)), (2, 1, (2, 1)), (1, 99, (2, 1))]:
        store.note(Position(epoch, seq))
        assert store.read_position() == Position(*written)
    store.close()


@pytest.mark.parametrize(
    "content", [b"[1,2]", b'{"epoch":1}', b'{"epoch":0,"seq":1}', b'{"epoch":1,"seq":true}', b'{"epoch":1,"seq":-1}']
)
def test_a_position_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "position").write_bytes(b"".join(frames.document(frames.POSITION, [content])))
    assert Store(tmp_path).read_position() is None
