"""A verifier in a process of its own that ends by SIGKILL at a system call of its choice, or when it is killed.

It is brought what a file holds, one after the other, and writes to a log how far it is.
"""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ostraka_consumers import ConfigurationError, TrustAnchor, Verifier
from ostraka_consumers.clock import ManualClock
from ostraka_consumers.persistence import frames
from ostraka_consumers.sources.base import FeedSink

from .calls import before_each, write_half

REFUSED_DIRECTORY = 3


class SlowSource:
    """Gives the other tasks a turn after each item, and in the end waits until the process is killed."""

    name = "slow"

    def __init__(self, items: list[bytes], *, ends: bool) -> None:
        self._items = items
        self._ends = ends
        self.done = asyncio.Event()

    async def run(self, sink: FeedSink) -> None:
        for item in self._items:
            sink.deliver(item)
            await asyncio.sleep(0.001)
        if self._ends:
            self.done.set()
        await asyncio.Event().wait()


def items_in(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for found in frames.read(file, frames.JOURNAL):
            yield found.payload


def die_at(number: int) -> Any:
    count = 0

    def happen(name: str, args: tuple[Any, ...]) -> None:
        nonlocal count
        count += 1
        if count == number:
            if name == "write":
                write_half(args)
            os.kill(os.getpid(), signal.SIGKILL)

    return happen


async def _live(argument: dict[str, Any]) -> None:
    source = SlowSource(list(items_in(Path(argument["feed"]))), ends=argument["ends"])
    verifier = Verifier(
        TrustAnchor.load(argument["anchor"]),
        audience="orders",
        sources=[source],
        clock=ManualClock(argument["now"]),
        state_directory=argument["directory"],
    )
    try:
        await verifier.start()
    except ConfigurationError:
        os._exit(REFUSED_DIRECTORY)
    Path(argument["ready"]).touch()
    await source.done.wait()
    await verifier.stop()


def main(argument: dict[str, Any]) -> None:
    """Live; see above."""
    with before_each(Path(argument["directory"]), die_at(argument["dies at"])):
        asyncio.run(_live(argument))
