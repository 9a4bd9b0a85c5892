"""F26: very many verifiers come back at once."""

import asyncio
import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from ostraka_issuer.api_client import ApiClient
from ostraka_issuer.api_errors import IssuerRefused, IssuerUnreachable
from tests.faults.rows.base import Result, Row, Scale, judge
from tests.faults.scene import Scene, open_scene
from tests.faults.stage import Stage
from tests.faults.waiting import until
from tests.support.stack import PASSWORD

PROCESSES = 2
FRESH_AGAIN_WITHIN = 120.0


@dataclass
class Asked:
    """What a client got that logged in again and again meanwhile."""

    answered: int = 0
    failed: int = 0
    slowest: float = 0.0


async def herd(stage: Stage, directory: Path, scale: Scale) -> Result:
    """The issuer is killed and comes back; thousands of verifiers on HTTP come back with it."""
    count = int(scale.of(200, 5_000))
    # Fresh for the herd means the default bounds: it is about load, not about time.
    async with open_scene(stage, directory, verifiers=["v1"], max_staleness=60.0, heartbeat=5) as scene:
        reports = [directory / f"herd-{number}.json" for number in range(PROCESSES)]
        pids = [await _start(scene, count // PROCESSES, report) for report in reports]
        try:
            first = await until(lambda: _fresh(reports) == count, lambda: f"{_fresh(reports)} of {count}", 900)
            # Not before: on a busy machine that took longer than a token lives.
            await scene.present("steady", "meanwhile")
            with scene.fault():
                await scene.end_issuer(signal.SIGKILL)
                # Long enough that each has noticed, and waits for its next attempt.
                await asyncio.sleep(scale.of(3, 20))
                await scene.start_issuer()
                begin, asked = time.time(), Asked()
                asking = asyncio.create_task(_keep_asking(scene.home.url, asked))
                await until(lambda: _fresh(reports, begin) == count, lambda: f"{_fresh(reports)} of {count}", 300)
                again = time.time() - begin
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                await scene.healed()
            await scene.revoke("meanwhile")
            await scene.refused_everywhere("meanwhile")
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                await stage.zygote.wait(pid)
        return judge(scene, *_told(count, first, again, asked), also=_wrong(scale, again, asked))


def _told(count: int, first: float, again: float, asked: Asked) -> list[str]:
    return [
        f"{count:,} verifiers: fresh {first:.1f} s after the first start, {again:.1f} s after the issuer was back",
        f"logins meanwhile: {asked.answered} answered, the slowest in {asked.slowest:.2f} s, {asked.failed} failed",
    ]


def _wrong(scale: Scale, again: float, asked: Asked) -> list[str]:
    if not scale.whole:
        return []
    slow = [f"fresh again after {again:.0f} s"] if again > FRESH_AGAIN_WITHIN else []
    unheard = [f"{asked.failed} logins were not answered"] if asked.failed else []
    return [*slow, *unheard]


async def _start(scene: Scene, count: int, report: Path) -> int:
    order = {
        "anchor": str(scene.home.path / "anchor.json"),
        "http": scene.home.url,
        "count": count,
        "report": str(report),
    }
    return await scene.stage.zygote.run("tests.faults.herd", order, log=report.with_suffix(".log"))


def _fresh(reports: list[Path], since: float = 0.0) -> int:
    """How many are fresh, by reports that are younger than ``since``."""
    found = 0
    for report in reports:
        with contextlib.suppress(FileNotFoundError):
            said = json.loads(report.read_text())
            found += said["fresh"] if said["at"] > since else 0
    return found


async def _keep_asking(url: str, asked: Asked) -> None:
    async with ApiClient(url) as client:
        while True:
            begin = time.monotonic()
            try:
                await client.login("alice", PASSWORD)
                asked.answered += 1
            except (IssuerRefused, IssuerUnreachable):
                asked.failed += 1
            asked.slowest = max(asked.slowest, time.monotonic() - begin)
            await asyncio.sleep(0.2)


ROWS = [
    Row(
        "F26",
        "the issuer is killed under thousands of verifiers on HTTP; it comes back",
        herd,
        short=False,
        alone=True,
    )
]
