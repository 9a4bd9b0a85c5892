"""A verifier in a process of its own that decides all the time, and tells over a socket what it decided.

Every few milliseconds it asks for each token it was given. It writes a JSON line when something changed, and often
enough anyway to show that it is alive. The times in a line are the machine's: only the verifier has the wrong clock.
"""

import asyncio
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

from ostraka_consumers import TrustAnchor, VerificationError, Verifier
from ostraka_consumers.sources import HttpSource, KafkaSource
from ostraka_consumers.sources.base import Source
from ostraka_issuer.desk.ports import LOCALHOST
from tests.faults.drifting import DriftingClock
from tests.support.offset_clock import OffsetClock

ACCEPTED = "accepted"
TICK = 0.005
LINE_EVERY = 0.1
READY_TIMEOUT = 3_600.0
"""It is asked from the first moment on; while it is not ready it has to refuse."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Decider:
    """One verifier, the tokens it is asked about, and its diary."""

    def __init__(self, verifier: Verifier, writer: asyncio.StreamWriter) -> None:
        self.verifier = verifier
        self.tokens: dict[str, str] = {}
        self._writer = writer
        self._before = time.time()
        self._written = 0.0
        self._said: tuple[Any, ...] = ()

    async def obey(self, reader: asyncio.StreamReader) -> None:
        """Take tokens to ask about until the other side ends."""
        while line := await reader.readline():
            self.tokens.update(json.loads(line))

    async def decide(self) -> None:
        """Ask and tell until cancelled."""
        while True:
            self._tick(time.time())
            await self._writer.drain()
            await asyncio.sleep(TICK)

    def _tick(self, at: float) -> None:
        decisions = {name: self._decision(token) for name, token in self.tokens.items()}
        core, instant = self.verifier.core, self.verifier.clock.now()
        head, freshness = core.head, core.freshness(instant).value
        said = decisions, freshness, head, frozenset(core.alarms)
        if said != self._said or at - self._written >= LINE_EVERY:
            status = self.verifier.status
            line = {
                "at": at,
                "before": self._before,
                "decisions": decisions,
                "freshness": freshness,
                "ready": status.ready,
                "head": None if head is None else [*head.position, head.hash.hex()],
                "counters": dict(core.counters),
                "alarms": list(status.alarms),
                "sources": {name: source.state for name, source in status.sources.items()},
                "rss": _rss(),
                "kept": None if status.persisted is None else status.persisted.kept,
            }
            self._writer.write(json.dumps(line).encode() + b"\n")
            self._said, self._written = said, at
        self._before = at

    def _decision(self, token: str) -> str:
        try:
            self.verifier.verify(token)
        except VerificationError as refusal:
            return refusal.code
        return ACCEPTED


def _rss() -> int:
    """Bytes of memory in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _sources(order: dict[str, Any]) -> list[Source]:
    sources: list[Source] = []
    if order["kafka"] is not None:
        sources.append(KafkaSource(order["kafka"], topic=order["topic"]))
    if order["http"] is not None:
        sources.append(HttpSource(order["http"]))
    return sources


async def _follow(verifier: Verifier) -> None:
    await verifier.start()
    await asyncio.Event().wait()


async def run(order: dict[str, Any]) -> None:
    """Follow the feed and decide until the connection ends or the process is killed."""
    reader, writer = await asyncio.open_connection(LOCALHOST, order["port"])
    writer.write(json.dumps({"name": order["name"]}).encode() + b"\n")
    verifier = Verifier(
        TrustAnchor.load(order["anchor"]),
        audience="orders",
        sources=_sources(order),
        clock=DriftingClock(OffsetClock(Path(order["clock"])), order["drift"]),
        max_staleness=order["max_staleness"],
        ready_timeout=READY_TIMEOUT,
        state_directory=order["state"],
    )
    decider = Decider(verifier, writer)
    tasks = [
        asyncio.create_task(_follow(verifier)),
        asyncio.create_task(decider.decide()),
        asyncio.create_task(decider.obey(reader)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await verifier.stop()
        writer.transport.abort()


def main(order: dict[str, Any]) -> None:
    """Run in a process forked for it."""
    for name, limit in order["limits"].items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    asyncio.run(run(order))
