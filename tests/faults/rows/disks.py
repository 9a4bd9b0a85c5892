"""F8 and F22: the issuer's disk is slow, full, broken or read-only; another process keeps its database locked."""

import asyncio
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from ostraka_issuer.limits import DATABASE_WAIT
from tests.faults.disk import BROKEN_SYNC, DISK_FAULTS, FULL, SLOW, DiskFault, failing_disk, strace_is_missing
from tests.faults.rows.base import Result, Row, Scale, judge
from tests.faults.scene import Scene, open_scene
from tests.faults.stage import Stage

REVOCATIONS = 3
SYNC_SECONDS = 0.3
SHORT_LOCK = 2.0


def is_committed(scene: Scene, name: str) -> bool:
    """Whether another process finds the revocation of this token in the database."""
    with closing(sqlite3.connect(f"file:{scene.home.path / 'ostraka.db'}?mode=ro", uri=True)) as database:
        found = database.execute("SELECT count(*) FROM intents WHERE subject LIKE ?", (f"%{scene.token_id(name)}%",))
        return bool(found.fetchone()[0])


async def failing(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Revocations while the disk fails: what was acknowledged is there, also after kill -9; the rest was refused."""
    figures: list[str] = []
    broken: list[str] = []
    acknowledged: list[str] = []
    async with open_scene(
        stage, directory, verifiers=["v1", "v2"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "first")
        await scene.revoke("first")  # The operator is logged in now.
        for fault in DISK_FAULTS if scale.whole else (SLOW, FULL, BROKEN_SYNC):
            names = [f"{fault.name}, {number}" for number in range(REVOCATIONS)]
            await scene.present(*names)
            with scene.fault():
                said, took, told = await _revoke_all(scene, fault, names)
                healed = await scene.healed()
            acknowledged += said
            if said and fault is SLOW and took < SYNC_SECONDS:
                broken.append("acknowledged before the disk had it")
            broken += [f"acknowledged and not committed: {name}" for name in said if not is_committed(scene, name)]
            again = f"{fault.name}, after"
            await scene.present(again)
            if not await scene.revoke(again):
                broken.append(f"no revocation after the disk was well again ({fault.name})")
            figures.append(f"{told}; all well {healed:.1f} s later")
        with scene.fault():
            await scene.end_issuer(signal.SIGKILL)
            await scene.start_issuer()
            await scene.healed()
        broken += [f"gone after kill -9: {name}" for name in acknowledged if not is_committed(scene, name)]
        for name in acknowledged:
            await scene.refused_everywhere(name)
        return judge(scene, *figures, also=broken)


async def _revoke_all(scene: Scene, fault: DiskFault, names: list[str]) -> tuple[list[str], float, str]:
    assert scene.issuer is not None
    async with failing_disk(scene.issuer, fault):
        begin = time.monotonic()
        said = [name for name in names if await scene.revoke(name)]
        took = (time.monotonic() - begin) / len(names)
        ready = await scene.client.is_ready()
    words = f"{fault.name}: {len(said)} of {len(names)} acknowledged, {took * 1000:.0f} ms each"
    return said, took, f"{words}, the issuer said it was {'ready' if ready else 'not ready'}"


async def locked(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Another process writes and does not end: what was acknowledged is there, what was not is not, all is well after.

    The first revocation needs a moment for its turn and gets it; the second one does not within its time.
    """
    names = ["a moment", "too long", "after"]
    broken: list[str] = []
    async with open_scene(
        stage, directory, verifiers=["v1", "v2"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "first", *names)
        await scene.revoke("first")  # The operator is logged in now.
        with scene.fault():
            acknowledged = {}
            for name, seconds in zip(names, (SHORT_LOCK, scale.of(DATABASE_WAIT + 1, 30)), strict=False):
                async with _writing(scene.home.path / "ostraka.db", seconds):
                    acknowledged[name] = await scene.revoke(name)
                committed = is_committed(scene, name)
                broken += [f"{name}: acknowledged {acknowledged[name]}, committed {committed}"] * (
                    committed is not acknowledged[name]
                )
            healed = await scene.healed()
        acknowledged["after"] = await scene.revoke("after")
        for name in (name for name, said in acknowledged.items() if said):
            await scene.refused_everywhere(name)
        wanted = {"a moment": True, "too long": False, "after": True}
        broken += [f"acknowledged: {acknowledged}"] if acknowledged != wanted else []
        return judge(
            scene,
            f"locked for {SHORT_LOCK:.0f} s: acknowledged late; for longer: refused, and nothing of it committed",
            f"all well {healed:.1f} s later",
            also=broken,
        )


@asynccontextmanager
async def _writing(database: Path, seconds: float) -> AsyncIterator[None]:
    """Another writer is in the middle of a transaction, for so long; the block's end waits for it."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ending = asyncio.create_task(asyncio.sleep(seconds))
        ending.add_done_callback(lambda _: other.execute("ROLLBACK"))
        try:
            yield
        finally:
            await asyncio.wait({ending})


ROWS = [
    Row("F8", "the issuer's disk: slow, full, failing, read-only", failing, missing=strace_is_missing),
    Row("F22", "another process keeps the issuer's SQLite database locked", locked),
]
