"""A sink that keeps what it is given, and what is needed to wait for it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable

from aiokafka import AIOKafkaProducer

from ostraka_consumers.sources._aiokafka import safe_stop
from ostraka_consumers.sources._policy import KafkaTiming
from ostraka_consumers.sources.kafka import KafkaSource
from ostraka_consumers.trust.receipt import Outcome, Receipt
from ostraka_schemas.records import Position

PATIENCE = 30.0
"""How long a test waits for what must happen. Only a failing test waits that long."""

BRISK = KafkaTiming(
    silence_max=600.0,
    check_every=0.05,
    incomplete_max=0.2,
    reread_min=0.1,
    reread_max=0.2,
    retry_min=0.05,
    retry_max=0.3,
    wait_max=0.2,
    request_max=3.0,
    metadata_max=0.3,
)
"""Never silent, otherwise impatient."""


class RecordingSink:
    """Keeps everything. Verifies nothing: what counts as news is up to the test."""

    def __init__(self) -> None:
        self.delivered: list[bytes] = []
        self.states: list[str] = []
        self.incomplete = False
        self.position: Position | None = None
        self.root_version = 0
        self.wants_snapshot = False
        self.news_at = time.monotonic()

    def deliver(self, raw: bytes) -> Receipt:
        self.delivered.append(raw)
        self.news_at = time.monotonic()
        return Receipt(Outcome.APPLIED)

    def silence(self) -> float:
        return time.monotonic() - self.news_at

    def report(self, state: str) -> None:
        self.states.append(state)

    async def holds(self, *raws: bytes) -> None:
        """Waits until exactly these were delivered, in this order."""
        await eventually(lambda: len(self.delivered) >= len(raws), lambda: f"{self.delivered[-5:]}, {self.states}")
        assert self.delivered == list(raws)

    async def says(self, words: str) -> None:
        """Waits for a report with these words in it."""
        await eventually(lambda: any(words in state for state in self.states), lambda: str(self.states))


async def eventually(condition: Callable[[], bool], explain: Callable[[], str] = lambda: "") -> None:
    """Waits until the condition holds; fails when patience ends."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {PATIENCE:.0f} s: {explain()}"
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def running(source: KafkaSource, sink: RecordingSink) -> AsyncIterator["asyncio.Task[None]"]:
    """Runs the source; afterwards it must end at once, without an error, and leave no task behind."""
    before = asyncio.all_tasks()
    task = asyncio.create_task(source.run(sink))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=PATIENCE)
        assert task.cancelled(), task
    assert asyncio.all_tasks() <= before


async def produce(bootstrap: str, topic: str, values: Iterable[bytes | None], partition: int = 0) -> None:
    """Writes values in order and waits until they are acknowledged."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", request_timeout_ms=10_000)
    try:
        await producer.start()
        sent = [await producer.send(topic, value, key=b"key", partition=partition) for value in values]
        await asyncio.gather(*sent)
    finally:
        await safe_stop(producer)


def numbered(first: int, last: int) -> list[bytes]:
    """Records that differ: ``first`` up to and including ``last``."""
    return [b"record %d" % number for number in range(first, last + 1)]
