"""A sink that knows what is true, so that it needs no keys: it compares with what a fake issuer has published."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from ostraka_consumers.sources._http_policy import HttpTiming
from ostraka_consumers.sources.base import FeedSink, Source
from ostraka_consumers.trust.receipt import Outcome, Receipt
from ostraka_schemas.records import Position
from tests.consumers.sources.feed_server import FeedServer
from tests.consumers.sources.recording import PATIENCE, eventually

BRISK = HttpTiming(
    silence_max=600.0,
    check_every=0.02,
    incomplete_max=0.1,
    reread_min=0.1,
    reread_max=0.4,
    retry_min=0.05,
    retry_max=0.2,
    retry_after_max=0.2,
    connect_every=0.02,
    connect_max=2.0,
    answer_max=2.0,
    roots_max=5.0,
    roots_every=0.2,
    snapshot_max=5.0,
    poll_wait=1,
    poll_every=0.02,
    poll_max=5.0,
)
"""Never silent, otherwise impatient."""


@dataclass
class KnowingSink:
    """Takes what ``server`` could honestly say; refuses everything else for ``refusal``.

    Attributes:
        applied: how many records.
        known: how many there are, as a heartbeat has shown.
        covered: how many records the server's snapshot stands for.
        wants_snapshot: as it would be if nothing were applied, until a test says otherwise.
    """

    server: FeedServer
    applied: int = 0
    known: int = 0
    covered: int = 0
    root_version: int = 0
    wants_snapshot: bool = False
    refusal: str = "malformed"
    heartbeats: int = 0
    news_at: float = field(default_factory=time.monotonic)
    delivered: list[bytes] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)

    def deliver(self, raw: bytes) -> Receipt:
        self.delivered.append(raw)
        if raw in self.server.roots:
            return self._root(self.server.roots.index(raw) + 1)
        if self.server.snapshot is not None and raw in self.server.snapshot:
            return self._part(raw)
        if raw in self.server.issuer.records:
            return self._record(self.server.issuer.records.index(raw) + 1)
        if raw == self.server.heartbeat:
            self.heartbeats += 1
            self.news_at = time.monotonic()
            self.known = len(self.server.issuer.records)
            return Receipt(Outcome.HEARTBEAT, position=Position(1, self.known), heard=1)
        return Receipt(Outcome.REFUSED, self.refusal)

    def _root(self, version: int) -> Receipt:
        self.root_version = max(self.root_version, version)
        return Receipt(Outcome.DUPLICATE)

    def _part(self, raw: bytes) -> Receipt:
        self.parts.append(raw)
        if self.parts[-len(self.server.snapshot or []) :] == self.server.snapshot:
            self.applied = max(self.applied, self.covered)
            self.wants_snapshot = False
        return Receipt(Outcome.HELD)

    def _record(self, seq: int) -> Receipt:
        position = Position(1, seq)
        if seq <= self.applied:
            return Receipt(Outcome.DUPLICATE, position=position)
        if seq > self.applied + 1:
            return Receipt(Outcome.HELD, position=position)
        self.applied = seq
        return Receipt(Outcome.APPLIED, position=position)

    def silence(self) -> float:
        return time.monotonic() - self.news_at

    @property
    def incomplete(self) -> bool:
        return self.applied < self.known

    @property
    def position(self) -> Position | None:
        return Position(1, self.applied) if self.applied else None

    def report(self, state: str) -> None:
        self.states.append(state)

    async def has(self, applied: int) -> None:
        """Waits until so many records are applied."""
        await eventually(lambda: self.applied >= applied, lambda: f"{self.applied} of {applied}, {self.states[-5:]}")

    async def says(self, words: str) -> None:
        """Waits for a report with these words in it."""
        await eventually(lambda: any(words in state for state in self.states), lambda: str(self.states))


@contextlib.asynccontextmanager
async def running(source: Source, sink: FeedSink) -> AsyncIterator["asyncio.Task[None]"]:
    """Runs the source; afterwards it must end at once, without an error, and leave no task behind."""
    before = asyncio.all_tasks()
    task = asyncio.create_task(source.run(sink), name="the source")
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=PATIENCE)
        assert task.cancelled(), task
    # Those of the server come and go; the source's own must all be gone.
    left = {t for t in asyncio.all_tasks() - before if "ostraka_consumers" in str(t.get_coro())}
    assert not left, left
