"""F8: the issuer's disk is slow, full, broken or read-only."""

import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tests.faults.disk import BROKEN_SYNC, DISK_FAULTS, FULL, SLOW, DiskFault, failing_disk, strace_is_missing
from tests.faults.rows.base import Result, Row, Scale, judge
from tests.faults.scene import Scene, open_scene
from tests.faults.stage import Stage

REVOCATIONS = 3
SYNC_SECONDS = 0.3


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


ROWS = [Row("F8", "the issuer's disk: slow, full, failing, read-only", failing, missing=strace_is_missing)]
