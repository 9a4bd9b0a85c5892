"""One life of a Kafka consumer: connect, find the place, deliver until something is wrong."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from ostraka_consumers import limits

from ._aiokafka import Fetches, find_partitions, safe_start
from ._kafka_snapshots import SnapshotReader, offset_near
from ._policy import (
    ROOT_MISSING,
    THE_PARTITION,
    KafkaTiming,
    Look,
    Place,
    Remedies,
    Resume,
    Trouble,
    Watch,
    is_same,
    partitions_trouble,
    start_offset,
)
from .base import FeedSink

Around = Callable[[Sequence[tuple[str, bytes]]], AbstractContextManager[None]]
"""Entered around each delivery, with the record's headers."""


def nothing_around(_headers: Sequence[tuple[str, bytes]]) -> AbstractContextManager[None]:
    """Nobody wants to know."""
    return nullcontext()


class NotUsable(Exception):
    """Brokers answer, but the topic is not one that can be read."""


class Reader:
    """Reads one partition of one topic into a sink: ``open``, ``fetch_snapshot``, ``seek``, ``follow``.

    Args:
        snapshots: the topic of the snapshots.
        resume: how the life before ended.
        around: entered around each delivery of a record of the feed.

    Attributes:
        consumer: whoever calls ``open`` has to stop it.
        place: the record delivered last, here or in a life before; ``None`` if reading has to start at the beginning.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        topic: str,
        sink: FeedSink,
        *,
        snapshots: str,
        resume: Resume,
        timing: KafkaTiming,
        clock: Callable[[], float],
        around: Around = nothing_around,
    ) -> None:
        self.place = resume.place
        self._around: Final = around
        self.consumer: Final = consumer
        self._partition: Final = TopicPartition(topic, 0)
        self._sink = sink
        self._timing = timing
        self._clock = clock
        self._resume: Final = resume
        self._snapshots: Final = SnapshotReader(consumer, snapshots, sink, timing=timing, clock=clock)
        self._snapshot_iat: int | None = None
        self._roots_missing = False
        self._unconfirmed = False
        self._end = 0
        self._fetches: Final = Fetches(consumer, self._partition, limits.SOURCE_BATCH_RECORDS)

    async def open(self) -> None:
        """Connect.

        Raises:
            NotUsable: the topic does not exist, or has not exactly one partition.
            KafkaError: no broker answers, or they refuse.
        """
        await safe_start(self.consumer)
        partitions = await find_partitions(self.consumer, self._partition.topic)
        if partitions != THE_PARTITION:
            raise NotUsable(partitions_trouble(partitions))

    async def fetch_snapshot(self) -> None:
        """Hand over a snapshot, if there is need of one and there is one. Takes at most ``snapshot_max``.

        Raises:
            KafkaError: no broker answers, or they refuse.
        """
        begin = await self._begin()
        if self._resume.takes_snapshot(begin, wanted=self._sink.wants_snapshot):
            self._snapshot_iat = await self._snapshots.deliver()

    async def seek(self) -> None:
        """Seek to the place, near the snapshot, or to the beginning.

        Raises:
            KafkaError: no broker answers, or they refuse.
        """
        self.consumer.assign([self._partition])
        begin = await self._begin()
        self._end = (await self.consumer.end_offsets([self._partition]))[self._partition]
        start = start_offset(self.place, begin, self._end)
        if self._snapshot_iat is not None and self._resume.starts_near_snapshot(begin):
            near = await offset_near(self.consumer, self._partition, self._snapshot_iat)
            start = start if near is None else min(max(begin, near), self._end)
        self._unconfirmed = self.place is not None and start == self.place.offset
        # Not seek_to_beginning: its answer may be overtaken by a reset that is under way.
        self.consumer.seek(self._partition, start)

    async def _begin(self) -> int:
        return int((await self.consumer.beginning_offsets([self._partition]))[self._partition])

    async def follow(self, remedies: Remedies) -> Trouble:
        """Deliver until something is wrong, and say what."""
        watch = Watch(self._timing, remedies, self._clock(), self._end)
        look_at = self._clock()
        while True:
            records = await self._fetches.next(int(self._timing.check_every * 1000))
            trouble = await self._deliver(records)
            # Not after each record: what a look costs, every process on the host would wait for.
            if trouble is None and (not records or self._clock() >= look_at):
                trouble = watch.trouble(await self._look())
                look_at = self._clock() + self._timing.check_every
            if trouble is not None:
                if trouble.from_beginning:
                    self.place = None
                # What could not be believed may be signed by keys that a newer root document names.
                return trouble._replace(snapshot=trouble.snapshot or self._roots_missing)

    async def _deliver(self, records: Sequence[ConsumerRecord]) -> Trouble | None:
        slice_ends = self._clock() + limits.SOURCE_SLICE
        for record in records:
            if self._unconfirmed:
                if self.place is None or not is_same(self.place, record.offset, record.value):
                    return Trouble("the log is not the one that was read before", from_beginning=True)
                self._unconfirmed = False
                continue
            if record.value is not None:
                with self._around(record.headers):
                    receipt = self._sink.deliver(record.value)
                self._roots_missing = self._roots_missing or receipt.reason in ROOT_MISSING
            self.place = Place(record.offset, record.value)
            if self._clock() >= slice_ends:
                await asyncio.sleep(0)
                slice_ends = self._clock() + limits.SOURCE_SLICE
        if records:
            # While there is a backlog, getmany returns without ever giving way.
            await asyncio.sleep(0)
        return None

    async def _look(self) -> Look:
        return Look(
            now=self._clock(),
            position=await self.consumer.position(self._partition),
            known_end=self.consumer.highwater(self._partition),
            partitions=self.consumer.partitions_for_topic(self._partition.topic),
            silence=self._sink.silence(),
            incomplete=self._sink.incomplete,
            wants_snapshot=self._sink.wants_snapshot,
        )
