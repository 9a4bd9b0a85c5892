"""A disk that is full, broken or hangs: nothing of it reaches a decision, and the copy is made once it can be."""

import asyncio
import errno
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from ostraka_consumers import Revoked, Verifier, limits
from ostraka_consumers.persistence.store import Store

from .calls import before_each
from .lives import DEADLINE, Story, essence, living, new_verifier, position, restored, written


class Disk:
    """What it answers with; ``None`` while it is well."""

    def __init__(self) -> None:
        self.error: int | None = None
        self.hangs: threading.Event | None = None
        self.asked = 0

    def happen(self, _name: str, _args: tuple[Any, ...]) -> None:
        self.asked += 1
        if self.hangs is not None:
            self.hangs.wait(DEADLINE)
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """The disk below ``state``; and attempts that follow one another quickly."""
    monkeypatch.setattr(limits, "STATE_RETRY_MIN", 0.01)
    monkeypatch.setattr(limits, "STATE_RETRY_MAX", 0.02)
    monkeypatch.setattr(limits, "STATE_SYNC_EVERY", 0.05)
    made = Disk()
    with before_each(tmp_path / "state", made.happen):
        yield made
        if made.hangs is not None:
            made.hangs.set()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.005)


def decides(verifier: Verifier, story: Story) -> None:
    """It does, and news reach it."""
    token = story.issuer.token(sub="dora")
    assert verifier.verify(token).subject == "dora"
    verifier.deliver(story.issuer.cut_subject("dora"))
    with pytest.raises(Revoked):
        verifier.verify(token)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
async def test_a_disk_that_fails_while_it_lives(
    story: Story, disk: Disk, tmp_path: Path, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    with blockbuster_ctx("ostraka_consumers"):
        async with living(story.issuer, tmp_path / "state", story.raws) as verifier:
            await written(verifier)
            kept = position(verifier)
            disk.error = code
            decides(verifier, story)
            await until(lambda: verifier.status.to_dict()["persisted"]["failures"] > 2)
            status = verifier.status.persisted
            assert status is not None
            assert (status.trouble, status.kept) == (os.strerror(code), kept)
            decides(verifier, story)
            disk.error = None
            await written(verifier)
            await until(lambda: verifier.status.to_dict()["persisted"]["trouble"] is None)
            known = essence(verifier)
    assert essence(await restored(story.issuer, tmp_path / "state")) == known
    lines = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [os.strerror(code) in record.getMessage() for record in lines] == [True]


async def test_a_disk_that_fails_from_the_start_and_to_the_end(story: Story, disk: Disk, tmp_path: Path) -> None:
    disk.error = errno.ENOSPC
    async with living(story.issuer, tmp_path / "state", story.raws) as verifier:
        decides(verifier, story)
        await until(lambda: verifier.status.to_dict()["persisted"]["failures"] > 2)
    assert verifier.status.to_dict()["persisted"]["kept"] is None
    disk.error = None
    assert position(await restored(story.issuer, tmp_path / "state")) is None


async def test_a_disk_that_cannot_be_read(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with living(story.issuer, tmp_path, story.raws):
        pass
    for name in ("open", "read_position", "read_roots"):

        def fail(*_: object) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with monkeypatch.context() as patch:
            patch.setattr(Store, name, fail)
            async with living(story.issuer, tmp_path, story.issuer.records) as verifier:
                decides(verifier, story)
                assert verifier.status.to_dict()["persisted"]["failures"] > 0
    async with living(story.issuer, tmp_path, story.issuer.records) as verifier:
        await written(verifier)


async def test_a_disk_that_hangs_keeps_nobody_from_deciding(
    story: Story, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STATE_ANSWER_MAX", 0.1)
    verifier = new_verifier(story.issuer, tmp_path / "state", [*story.raws, story.issuer.heartbeat()])
    await verifier.start()
    await written(verifier)
    disk.hangs = threading.Event()
    asked = disk.asked
    decides(verifier, story)
    await until(lambda: disk.asked > asked)
    decides(verifier, story)
    await verifier.stop()
    assert verifier.status.to_dict()["persisted"]["trouble"] == "the disk does not answer"
    known = essence(verifier)
    disk.hangs.set()
    # What it was to write it still writes, and then lets go of the directory.
    await until(lambda: Store(tmp_path / "state").read_position() == position(verifier))
    assert essence(await restored(story.issuer, tmp_path / "state")) == known


async def test_a_start_does_not_wait_for_a_disk_that_hangs(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STATE_ANSWER_MAX", 0.05)
    answer = threading.Event()
    monkeypatch.setattr(Store, "open", lambda _: answer.wait(DEADLINE))
    async with living(story.issuer, tmp_path, story.raws) as verifier:
        decides(verifier, story)
        assert verifier.status.sources["state directory"].state == "cannot be read"
        # What would come after it is not waited for as well.
        assert verifier.status.to_dict()["persisted"]["failures"] == 1
    answer.set()


@pytest.mark.parametrize("name", ["lock", "roots.new", "position.new", "snapshot.new", "journal"])
@pytest.mark.parametrize("read", [False, True])
async def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, read: bool
) -> None:
    monkeypatch.setattr(limits, "STATE_RETRY_MIN", 0.01)
    monkeypatch.setattr(limits, "STATE_SYNC_EVERY", 0.05)
    os.mkfifo(tmp_path / name)
    reader = os.open(tmp_path / name, os.O_RDONLY | os.O_NONBLOCK) if read else None
    try:
        async with living(story.issuer, tmp_path, story.raws) as verifier:
            decides(verifier, story)
            if name == "lock":
                await until(lambda: verifier.status.to_dict()["persisted"]["failures"] > 1)
            elif name != "journal":
                await written(verifier)
        trouble = verifier.status.to_dict()["persisted"]["trouble"]
        assert trouble != "the disk does not answer"
    finally:
        if reader is not None:
            os.close(reader)


HANGS = """
import asyncio, sys, threading
from pathlib import Path
from ostraka_consumers import limits
from ostraka_consumers.persistence.keeper import Keeper
from ostraka_consumers.persistence.store import Store

async def main():
    limits.STATE_ANSWER_MAX = 0.05
    Store.open = lambda self: threading.Event().wait()
    keeper = Keeper(Path(sys.argv[1]))
    class Sink:
        position = None
        def report(self, state): print(state, flush=True)
    await keeper.open(Sink())
    await keeper.close()

asyncio.run(main())
print("main has ended", flush=True)
"""


async def test_a_disk_that_hangs_keeps_no_process_from_ending(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HANGS, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(DEADLINE):
            told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert told.decode().split("\n") == ["cannot be read", "main has ended", ""]
    assert process.returncode == 0


async def test_what_waits_for_the_disk_is_bounded(
    story: Story, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with living(story.issuer, tmp_path / "state", story.raws) as verifier:
        await written(verifier)
        monkeypatch.setattr(limits, "STATE_QUEUE_MAX", 5)
        disk.error = errno.ENOSPC
        for number in range(9):
            verifier.deliver(story.issuer.cut_subject(str(number)))
        status = verifier.status.persisted
        assert status is not None
        assert (status.waiting, status.dropped) == (5, 4)
        disk.error = None
        await until(lambda: verifier.status.to_dict()["persisted"]["waiting"] == 0)
        verifier.deliver(story.issuer.cut_subject("eve"))
        known = position(verifier)
    # A beginning was kept. The next life goes on from there, and must come as far as this one was.
    again = await restored(story.issuer, tmp_path / "state")
    assert again.core.head is not None
    assert again.core.head.position < known  # type: ignore[operator]
    assert f"says it was at {known}" in str(again.core.why_not_ready(story.issuer.clock.now()))
    async with living(story.issuer, tmp_path / "state", story.issuer.records) as verifier:
        await written(verifier)
    assert position(await restored(story.issuer, tmp_path / "state")) == known


async def test_of_the_bytes_that_wait_there_are_only_so_many(
    story: Story, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STATE_QUEUE_BYTES", 2_000)
    async with living(story.issuer, tmp_path / "state", story.raws) as verifier:
        disk.error = errno.ENOSPC
        verifier.deliver(story.issuer.cut_subject("the first"))  # All before it may have been written already.
        await until(lambda: verifier.status.to_dict()["persisted"]["failures"] > 0)
        for number in range(20):
            verifier.deliver(story.issuer.cut_subject(str(number)))
        assert verifier._keeper is not None
        assert verifier._keeper._queued_bytes < 2_000 + 2_000  # one more, whatever it is
        assert verifier.status.to_dict()["persisted"]["dropped"] > 10


async def test_a_snapshot_takes_the_place_of_what_waits(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story()
    async with living(story.issuer, tmp_path / "state", story.raws) as verifier:
        await written(verifier)
        monkeypatch.setattr(limits, "STATE_QUEUE_MAX", 2)
        disk.error = errno.ENOSPC
        verifier.deliver(story.issuer.cut_subject("0"))
        story.say(story.issuer.records[-1], *(story.issuer.cut_subject(str(number)) for number in range(1, 5)))
        state = story.reference.verifier.core.state
        assert state is not None
        for raw in (*story.issuer.snapshot(state), story.issuer.heartbeat(iat=story.issuer.now + 1)):
            verifier.deliver(raw)
        disk.error = None
        await written(verifier)
        assert position(verifier) == story.issuer.head.position
    story.reference.check(again := await restored(story.issuer, tmp_path / "state"))
    assert position(again) == story.issuer.head.position
