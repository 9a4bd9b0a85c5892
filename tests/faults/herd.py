"""Very many verifiers in one process, each following the feed over HTTP by itself.

It writes down, every half a second, how many of them are fresh.
"""

import asyncio
import gc
import json
import time
from pathlib import Path
from typing import Any

from ostraka_consumers import TrustAnchor, Verifier
from ostraka_consumers.sources import HttpSource

LOOK_EVERY = 0.5
AT_ONCE = 200
"""They are made so many at a time, so that the first do not wait for the last."""


async def herd(order: dict[str, Any]) -> None:
    """Follow until killed."""
    anchor = TrustAnchor.load(order["anchor"])
    verifiers: list[Verifier] = []
    tasks = []
    for number in range(order["count"]):
        source = HttpSource(order["http"])
        verifier = Verifier(anchor, audience="orders", sources=[source], ready_timeout=3_600.0, remember=0)
        verifiers.append(verifier)
        tasks.append(asyncio.create_task(verifier.start()))
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
    report, fresh = Path(order["report"]), 0
    while True:
        fresh = sum(v.core.freshness(v.clock.now()).value == "fresh" for v in verifiers)
        part = report.with_suffix(".part")
        part.write_text(json.dumps({"at": time.time(), "fresh": fresh}))
        part.replace(report)
        await asyncio.sleep(LOOK_EVERY)


def main(order: dict[str, Any]) -> None:
    """Run in a process forked for it."""
    gc.freeze()
    asyncio.run(herd(order))
