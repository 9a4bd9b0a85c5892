"""F25: the copy that a verifier keeps on disk is deleted, old, cut off or wrong."""

import asyncio
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.faults.proxy import CUT
from tests.faults.rows.base import Result, Row, Scale, judge
from tests.faults.scene import Scene, open_scene
from tests.faults.stage import Stage
from tests.faults.waiting import until

AT_ONCE = 3


async def kept_state(stage: Stage, directory: Path, scale: Scale) -> Result:
    """A verifier is killed and started again on its copy, and on copies that are old or damaged."""
    chance = random.Random(25)
    copy, old = directory / "copy", directory / "old"
    async with open_scene(
        stage, directory, verifiers=["v1"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "before", "later")
        await scene.revoke("before")
        first = await scene.add_verifier("first", link="v2", state=copy)
        await _written(scene, "first")
        shutil.copytree(copy, old, ignore=shutil.ignore_patterns("lock"))
        await scene.revoke("later")
        await scene.refused_everywhere("later")
        await _written(scene, "first")
        await scene.end_verifier("first")
        head, wrong = first.last.head, []
        scene.link("v2").set(CUT)
        blind = await scene.add_verifier("blind", link="v2", state=copy)
        await until(lambda: blind.last.head == head, lambda: f"it knows what it knew: {blind.last.head}, was {head}")
        await asyncio.sleep(scale.of(1, 20))
        if blind.last.ready or blind.last.decisions["steady"] == "accepted":
            wrong.append("it accepted a token on its own copy alone")
        scene.calm()
        await scene.healed("blind")
        await scene.end_verifier("blind")
        damages = [lambda target: None, *(_damage(chance) for _ in range(int(scale.of(8, 100))))]
        for begin in range(0, len(damages), AT_ONCE):
            await _start_on(scene, begin, copy, damages[begin : begin + AT_ONCE])
        await _start_on(scene, len(damages), old, [lambda target: None])
        return judge(
            scene,
            "killed and without the bus: knew what it had known, accepted nothing",
            f"{len(damages)} starts on copies with a file cut off, a wrong byte or a file missing, one on an old copy: "
            "each fresh and right again",
            also=wrong,
        )


async def _written(scene: Scene, name: str) -> None:
    """Wait until everything that the verifier knows is on its disk."""
    player, head = scene.players[name], scene.head()
    await until(lambda: player.last.kept == head[:2], lambda: f"{head[:2]} written, not only {player.last.kept}")


def _damage(chance: random.Random) -> Callable[[Path], None]:
    """Something that happens to one file."""
    way = chance.choice(("cut", "cut", "flip", "delete"))
    share, bit, which = chance.random(), 1 << chance.randrange(8), chance.random()

    def happen(copy: Path) -> None:
        files = sorted(path for path in copy.rglob("*") if path.is_file() and path.stat().st_size)
        path = files[int(which * len(files))]
        raw = bytearray(path.read_bytes())
        at = int(share * len(raw))
        if way == "delete":
            path.unlink()
        elif way == "cut":
            path.write_bytes(raw[:at])
        else:
            raw[at] ^= bit
            path.write_bytes(raw)

    return happen


async def _start_on(scene: Scene, number: int, source: Path, damages: list[Callable[[Path], None]]) -> None:
    """Start a verifier on a copy of the copy for each damage; each must be well and know what was revoked."""
    names = []
    for offset, damage in enumerate(damages):
        name = f"start {number + offset}"
        target = scene.directory / name
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("lock"))
        damage(target)
        await scene.add_verifier(name, link=f"v{3 + offset}", state=target)
        names.append(name)
    await scene.healed(*names)
    for token in ("before", "later"):
        await scene.refused_everywhere(token, *names)
    for name in names:
        await scene.end_verifier(name)


ROWS = [Row("F25", "a verifier's copy on disk: old, cut off, with wrong bytes, with files missing", kept_state)]
