"""Brings the newest snapshot to its topic: every root document, then all parts, so that a newcomer needs nothing else.

Each publication has connections of its own, and whatever goes wrong with one is tried again later: the feed goes on
beside it. What somebody else writes to the topic shows in the offsets, which are then not one after the other; it can
bury a snapshot until the next one, no more. Verifiers that need it at once have HTTP.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from random import Random
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from ostraka_consumers.sources._aiokafka import safe_start, safe_stop
from ostraka_consumers.uninterrupted import is_cancelled
from ostraka_schemas.limits import SNAPSHOT_PART_MAX_BYTES

from ..errors import FeedError
from ..limits import (
    FEED_SEND,
    KAFKA_REQUEST,
    KAFKA_STOP,
    SNAPSHOT_BACKOFF_MAX,
    SNAPSHOT_IN_FLIGHT,
    SNAPSHOT_REPUBLISH,
)
from ..settings import IssuerSettings
from .kafka import make_producer
from .patience import new_backoff
from .snapshot import Snapshot
from .topic import ensure_topic, snapshots_topic
from .words import explain

logger = logging.getLogger(__name__)


class SnapshotPublisher:
    """Publishes snapshots to Kafka.

    Args:
        roots: gives every root document that is in the feed, in ascending versions.
        settings: which broker, and the feed whose snapshots they are.
        random: chance for the pauses.
        every: seconds after which the newest one is published again.
        tenure: tells under which possession of the lease this process writes, ``None`` under none: what lies in the
            topic since another one is another replica's, and nobody else's.
    """

    def __init__(
        self,
        roots: Callable[[], Awaitable[Sequence[bytes]]],
        settings: IssuerSettings,
        *,
        random: Random,
        every: float = SNAPSHOT_REPUBLISH,
        tenure: Callable[[], object] = lambda: True,
    ) -> None:
        self._roots: Final = roots
        self._settings: Final = settings
        self._wanted: Final = snapshots_topic(settings)
        self._every: Final = every
        self._backoff: Final = new_backoff(random, SNAPSHOT_BACKOFF_MAX)
        self._newest: Snapshot | None = None
        self._news: Final = asyncio.Event()
        self._next: int | None = None
        self._tenure: Final = tenure
        self._since: object = None
        self.published: Snapshot | None = None
        self.foreign = 0
        self.doing = "waiting for a snapshot"

    def offer(self, snapshot: Snapshot | None) -> None:
        """There is a newer one; or another process publishes, and this one no longer does (``None``). Cheap."""
        self._newest = snapshot
        if snapshot is not None:
            self._news.set()

    async def run(self) -> None:
        """Publish until cancelled. Outages are waited for."""
        while True:
            await self._until_there_is_one()
            self._news.clear()
            try:
                await self._publish()
            except asyncio.CancelledError:
                if is_cancelled():
                    raise
                await self._interrupted("the Kafka client gave up")
            except Exception as error:  # noqa: BLE001 - the library also leaks KeyError, AssertionError and others
                await self._interrupted(await explain(error, self._settings), unexpected=error)
            else:
                self._backoff.reset()
                self.doing = "published"
                await self._until_due()

    async def _until_there_is_one(self) -> None:
        while self._newest is None:
            self._news.clear()
            await self._news.wait()

    async def _interrupted(self, reason: str, unexpected: Exception | None = None) -> None:
        known = unexpected is None or isinstance(unexpected, (KafkaError, OSError, TimeoutError, FeedError))
        if reason != self.doing.removeprefix("waiting: "):
            logger.warning("no snapshot published: %s", reason, exc_info=None if known else unexpected)
        self.doing = f"waiting: {reason}"
        self._next = None  # What was sent may be there or not.
        await asyncio.sleep(self._backoff.pause())

    async def _until_due(self) -> None:
        try:
            async with asyncio.timeout(self._every):
                await self._news.wait()
        except TimeoutError:
            return

    async def _publish(self) -> None:
        snapshot = self._newest
        if snapshot is None:
            return
        roots = await self._roots()
        await ensure_topic(self._settings, self._wanted)
        producer = make_producer(self._settings, largest=SNAPSHOT_PART_MAX_BYTES)
        try:
            async with asyncio.timeout(2 * KAFKA_REQUEST):  # It would ask for its producer id for ever.
                await safe_start(producer)
            await self._send(producer, [*roots, *snapshot.parts])
        finally:
            await safe_stop(producer, KAFKA_STOP)
        self.published = snapshot

    async def _send(self, producer: AIOKafkaProducer, values: Iterable[bytes]) -> None:
        flying: deque[asyncio.Future[Any]] = deque()
        for value in values:
            future = await producer.send(self._wanted.name, value, partition=0)
            # Whatever becomes of the connection, nobody may be left with an error that was never looked at.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            flying.append(future)
            if len(flying) >= SNAPSHOT_IN_FLIGHT:
                await self._settle(flying.popleft())
        while flying:
            await self._settle(flying.popleft())

    async def _settle(self, future: "asyncio.Future[Any]") -> None:
        await asyncio.wait({future}, timeout=FEED_SEND)
        if not future.done():
            raise KafkaTimeoutError(f"no acknowledgement within {FEED_SEND:.0f} s")
        self._note(future.result().offset)

    def _note(self, offset: int) -> None:
        """Offsets that are not ours were given to somebody else's; lower ones are those of a topic made anew."""
        tenure = self._tenure()
        if tenure is None or tenure is not self._since:
            self._next, self._since = None, tenure
        if self._next is not None and offset > self._next:
            if not self.foreign:
                logger.warning("somebody else writes to the topic %s, which is the issuer's", self._wanted.name)
            self.foreign += offset - self._next
        if offset >= 0 and tenure is not None:  # -1: the broker knows that it has it, but no longer where.
            self._next = offset + 1
