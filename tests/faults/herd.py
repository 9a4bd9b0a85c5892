"""Very many verifiers in one process, each following the feed over HTTP by itself.

It writes down, every half a second, how many of them are fresh.
"""

import asyncio
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

from ostraka_consumers import TrustAnchor, Verifier
from ostraka_consumers.sources import HttpSource

LOOK_EVERY = 0.5
AT_ONCE = 50
"""So many start at a time. What is looked at is how they come back, by themselves, all at once."""


async def _start(verifier: Verifier, turn: asyncio.Semaphore) -> None:
    async with turn:
        await verifier.start()


async def herd(order: dict[str, Any]) -> None:
    """Follow until killed."""
    anchor = TrustAnchor.load(order["anchor"])
    verifiers = [
        Verifier(anchor, audience="orders", sources=[HttpSource(order["http"])], ready_timeout=3_600.0, remember=0)
        for _ in range(order["count"])
    ]
    turn = asyncio.Semaphore(AT_ONCE)
    tasks = [asyncio.create_task(_start(verifier, turn)) for verifier in verifiers]
    report = Path(order["report"])
    while not any(task.done() and task.exception() for task in tasks):
        fresh = sum(v.core.freshness(v.clock.now()).value == "fresh" for v in verifiers)
        part = report.with_suffix(".part")
        part.write_text(json.dumps({"at": time.time(), "fresh": fresh}))
        part.replace(report)
        await asyncio.sleep(LOOK_EVERY)


def main(order: dict[str, Any]) -> None:
    """Run in a process forked for it."""
    # With so many in one process the collector would do nothing but look at them.
    gc.disable()
    # httpcore looks for it at every turn, and whoever does not have it searches the whole path each time.
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]
    asyncio.run(herd(order))
