"""kill -9 of a verifier between what it verified and what it wrote, and within what it writes."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ostraka_consumers.persistence import frames
from ostraka_consumers.persistence.store import Store
from ostraka_schemas.records import Position
from tests.support.zygote import Zygote

from .killed import REFUSED_DIRECTORY
from .lives import DEADLINE, Story, living, new_verifier, position, restored

PROGRAM = "tests.consumers.persistence.killed"
RANDOM_KILLS = 20
NEVER = 0


class Lives:
    """Lives of one verifier on one directory."""

    def __init__(self, story: Story, zygote: Zygote, folder: Path) -> None:
        self.story, self.zygote, self.folder = story, zygote, folder
        self.directory = folder / "state"
        self._noted: dict[Path, Position] = {}
        self._argument = {
            "directory": str(self.directory),
            "anchor": str(folder / "anchor.json"),
            "feed": str(folder / "feed"),
            "ready": str(folder / "ready"),
            "now": story.issuer.clock.now().wall,
        }
        (folder / "anchor.json").write_bytes(story.issuer.anchor.to_json())
        items = [*story.raws, story.issuer.heartbeat()]
        (folder / "feed").write_bytes(b"".join(frames.document(frames.JOURNAL, items)))

    async def begin(self, **changes: Any) -> int:
        argument = {**self._argument, "dies at": NEVER, "ends": True, **changes}
        return await self.zygote.run(PROGRAM, argument, log=self.folder / "log")

    async def look(self) -> None:
        """What is there is true, and the position, which may be ahead of the rest, never goes back."""
        if not self.directory.exists():
            return
        again = await restored(self.story.issuer, self.directory)
        self.story.reference.check(again)
        noted = Store(self.directory).read_position()
        before = self._noted.get(self.directory)
        assert before is None or (noted is not None and noted >= before)
        if noted is not None:
            self._noted[self.directory] = noted


@pytest.fixture
async def zygote() -> AsyncIterator[Zygote]:
    async with Zygote() as made:
        yield made


@pytest.fixture
def each_kind(zygote: Zygote, tmp_path: Path) -> list[Lives]:
    """One zygote for all: it is slow to start."""
    made = []
    for name, story in {"snapshot": Story(snapshot=True), "epochs": Story(epochs=2)}.items():
        (tmp_path / name).mkdir()
        made.append(Lives(story, zygote, tmp_path / name))
    return made


async def test_killed_within_each_call(each_kind: list[Lives]) -> None:
    for lives in each_kind:
        kills = 0
        for number in range(1, 200):
            lives.directory = lives.folder / f"state {number}"
            changes = {"directory": str(lives.directory)}
            status = await lives.zygote.wait(await lives.begin(**{"dies at": number}, **changes))
            if status == 0:
                break
            assert status == -signal.SIGKILL
            kills += 1
            await lives.look()
            # The next one begins from what this one left, and is killed as well, elsewhere.
            assert await lives.zygote.wait(await lives.begin(**{"dies at": 3}, **changes)) in (0, -signal.SIGKILL)
            await lives.look()
        assert kills > 10
        async with living(lives.story.issuer, lives.directory) as verifier:
            assert position(verifier) == lives.story.issuer.head.position


async def test_killed_at_any_moment(each_kind: list[Lives]) -> None:
    chance = random.Random(7)
    for lives in each_kind:
        for _ in range(RANDOM_KILLS):
            pid = await lives.begin(ends=False)
            await asyncio.sleep(chance.uniform(0.0, 0.12))
            os.kill(pid, signal.SIGKILL)
            assert await lives.zygote.wait(pid) == -signal.SIGKILL
            await lives.look()
        assert await lives.zygote.wait(await lives.begin()) == 0
        again = await restored(lives.story.issuer, lives.directory)
        assert position(again) == lives.story.issuer.head.position


async def test_two_processes_cannot_have_one_directory(zygote: Zygote, tmp_path: Path) -> None:
    lives = Lives(Story(), zygote, tmp_path)
    first = await lives.begin(ends=False)
    async with asyncio.timeout(DEADLINE):
        while not (tmp_path / "ready").exists():
            await asyncio.sleep(0.01)
    assert await zygote.wait(await lives.begin()) == REFUSED_DIRECTORY
    with pytest.raises(Exception, match="another verifier is using the state directory"):
        await new_verifier(lives.story.issuer, lives.directory).start()
    os.kill(first, signal.SIGKILL)
    await zygote.wait(first)
    assert await zygote.wait(await lives.begin()) == 0
