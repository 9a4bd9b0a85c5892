"""F31: a verifier that may open few files, and one that stood still."""

import asyncio
import os
import signal
import time
from pathlib import Path

from tests.faults.deciding import ACCEPTED
from tests.faults.history import longest_pause
from tests.faults.proxy import CUT, FAIR
from tests.faults.rows.base import Result, Row, Scale, judge
from tests.faults.scene import open_scene
from tests.faults.stage import Stage

FILES = 40
"""Some fifteen are open while all is well."""


async def few_files_and_a_stop(stage: Stage, directory: Path, scale: Scale) -> Result:
    """A verifier with few file descriptors on a link that comes and goes; one that is stopped past its bound."""
    seconds = scale.max_staleness + scale.of(1, 30)
    async with open_scene(
        stage, directory, verifiers=["v1"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.add_verifier("v2", limits={"RLIMIT_NOFILE": FILES})
        stopped = await scene.add_verifier("v3")
        await scene.present("steady", "meanwhile")
        with scene.fault("v2", "v3"):
            os.kill(stopped.pid, signal.SIGSTOP)
            await scene.revoke("meanwhile")
            begin = time.monotonic()
            while time.monotonic() - begin < seconds:
                scene.link("v2").set(FAIR if scene.link("v2").weather is CUT else CUT)
                await asyncio.sleep(0.5)
            scene.calm()
            woken = time.time()
            os.kill(stopped.pid, signal.SIGCONT)
            healed = await scene.healed(within=60)
        await scene.refused_everywhere("meanwhile")
        pause = longest_pause(stopped.seat.history)
        late = [m for m in stopped.seat.history if m.at > woken and m.decisions.get("meanwhile") == ACCEPTED]
        return judge(
            scene,
            f"{FILES} files at most, {seconds:.0f} s on a link that comes and goes twice a second: fresh again",
            f"stopped for {pause:.0f} s: then refused at once what was revoked meanwhile; well {healed:.1f} s later",
            also=["accepted after it stood still"] if late else [],
        )


ROWS = [
    Row(
        "F31",
        "a verifier that may open few files; one that stands still",
        few_files_and_a_stop,
        short=False,
    )
]
