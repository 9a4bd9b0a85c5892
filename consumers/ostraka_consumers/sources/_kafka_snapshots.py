"""Find the newest whole snapshot in its topic and hand it over, with the root documents that lead to it.

The topic holds, again and again, every root document in ascending order and then all parts. It is read from its end
backwards, in growing stretches. Whatever else lies there, or nothing: the feed can always be read from its beginning.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from ostraka_consumers import limits
from ostraka_consumers.trust.receipt import Outcome
from ostraka_schemas.limits import ROOT_WIRE_MAX_BYTES

from ._aiokafka import Fetches, find_partitions
from ._policy import KafkaTiming
from ._shelf import ROOT_MARK, Shelf, Title, read_label, windows
from .base import FeedSink

logger = logging.getLogger("ostraka.sources.kafka")

_REFUSED: Final = frozenset({Outcome.REFUSED, Outcome.EQUIVOCATION})


class SnapshotReader:
    """Reads with a consumer that is started; which partitions are assigned to it afterwards is up to the caller."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        topic: str,
        sink: FeedSink,
        *,
        timing: KafkaTiming,
        clock: Callable[[], float],
    ) -> None:
        self._consumer: Final = consumer
        self._partition: Final = TopicPartition(topic, 0)
        self._sink: Final = sink
        self._timing: Final = timing
        self._clock: Final = clock

    async def deliver(self) -> int | None:
        """Hand over the newest whole snapshot.

        Returns:
            The time it was signed, in seconds; ``None`` if there is none, or not within ``snapshot_max``.
        """
        if not self._partition.topic:
            return None
        try:
            async with asyncio.timeout(self._timing.snapshot_max):
                return await self._search()
        except (TimeoutError, KafkaError) as error:
            logger.debug("no snapshot in %s: %r", self._partition.topic, error)
            return None

    async def _search(self) -> int | None:
        partition = self._partition
        if partition.partition not in await find_partitions(self._consumer, partition.topic):
            return None
        self._consumer.assign([partition])
        begin, end = await self._bounds()
        shelf = Shelf()
        for low, high in windows(begin, end):
            version = self._sink.root_version
            await self._scan(low, high, shelf)
            if self._sink.root_version != version:
                shelf.put_all_back()
            while (title := shelf.newest_whole()) is not None:
                if await self._hand_over(title, shelf.take(title)):
                    return title.iat
        return None

    async def _bounds(self) -> tuple[int, int]:
        partition = self._partition
        begin = (await self._consumer.beginning_offsets([partition]))[partition]
        end = (await self._consumer.end_offsets([partition]))[partition]
        if begin < end:
            self._sink.report("looking for a snapshot")
            # The embedded broker counts a last batch of several records as one. What it says with records is right.
            self._consumer.seek(partition, end - 1)
            await Fetches(self._consumer, partition, 1).next(int(self._timing.check_every * 1000))
            end = max(end, self._consumer.highwater(partition) or 0)
        return begin, end

    async def _scan(self, low: int, high: int, shelf: Shelf) -> None:
        """Take note of parts, and hand over root documents: none of the parts can be believed without them."""
        async for record in self._records(low, high):
            if record.value is None:
                continue
            if record.value.startswith(ROOT_MARK):
                if len(record.value) <= ROOT_WIRE_MAX_BYTES:
                    self._sink.deliver(record.value)
            elif (label := read_label(record.value)) is not None:
                shelf.put(record.offset, label)

    async def _hand_over(self, title: Title, offsets: dict[int, int]) -> bool:
        """Deliver the parts that lie at ``offsets``; whether each part was taken by the sink, once at least."""
        taken = set()
        async for record in self._records(min(offsets), max(offsets) + 1):
            part = offsets.get(record.offset)
            if part is None or record.value is None:
                continue
            if self._sink.deliver(record.value).outcome not in _REFUSED:
                taken.add(part)
        return len(taken) == title.parts

    async def _records(self, low: int, high: int) -> AsyncIterator[ConsumerRecord]:
        """The records from ``low`` up to but not including ``high``, giving way to other tasks in between."""
        self._consumer.seek(self._partition, low)
        fetches = Fetches(self._consumer, self._partition, limits.SOURCE_BATCH_RECORDS)
        slice_ends = self._clock() + limits.SOURCE_SLICE
        came_at = self._clock()
        while await self._consumer.position(self._partition) < high:
            for record in await fetches.next(int(self._timing.check_every * 1000)):
                if record.offset >= high:
                    return
                yield record
                came_at = self._clock()
                if came_at >= slice_ends:
                    await asyncio.sleep(0)
                    slice_ends = self._clock() + limits.SOURCE_SLICE
            if self._clock() - came_at > self._timing.request_max:
                raise TimeoutError


async def offset_near(consumer: AIOKafkaConsumer, partition: TopicPartition, iat: int) -> int | None:
    """Where a log was some time before ``iat``. A hint: the broker's clock and memory are its own.

    Returns:
        The offset, or ``None`` if the broker does not say.
    """
    wanted = max(0, iat - limits.SNAPSHOT_MARGIN) * 1000
    try:
        found = (await consumer.offsets_for_times({partition: wanted}))[partition]
    except (KafkaError, ValueError) as error:
        logger.debug("no offset of that time: %r", error)
        return None
    return None if found is None else int(found.offset)
