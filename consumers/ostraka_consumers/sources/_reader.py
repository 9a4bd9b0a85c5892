"""One life of a Kafka consumer: connect, find the place, deliver until something is wrong."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from ostraka_consumers import limits

from ._aiokafka import Fetches, find_partitions, safe_start
from ._policy import (
    THE_PARTITION,
    KafkaTiming,
    Look,
    Place,
    Rereads,
    Trouble,
    Watch,
    is_same,
    partitions_trouble,
    start_offset,
)
from .base import FeedSink


class NotUsable(Exception):
    """Brokers answer, but the topic is not one that can be read."""


class Reader:
    """Reads one partition of one topic into a sink.

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
        place: Place | None,
        timing: KafkaTiming,
        clock: Callable[[], float],
    ) -> None:
        self.place = place
        self.consumer: Final = consumer
        self._partition: Final = TopicPartition(topic, 0)
        self._sink = sink
        self._timing = timing
        self._clock = clock
        self._unconfirmed = False
        self._end = 0
        self._fetches: Final = Fetches(consumer, self._partition, limits.SOURCE_BATCH_RECORDS)

    async def open(self) -> None:
        """Connect and seek to the place, or to the beginning.

        Raises:
            NotUsable: the topic does not exist, or has not exactly one partition.
            KafkaError: no broker answers, or they refuse.
        """
        await safe_start(self.consumer)
        partitions = await find_partitions(self.consumer, self._partition.topic)
        if partitions != THE_PARTITION:
            raise NotUsable(partitions_trouble(partitions))
        self.consumer.assign([self._partition])
        begin = (await self.consumer.beginning_offsets([self._partition]))[self._partition]
        self._end = (await self.consumer.end_offsets([self._partition]))[self._partition]
        start = start_offset(self.place, begin, self._end)
        self._unconfirmed = self.place is not None and start == self.place.offset
        # Not seek_to_beginning: its answer may be overtaken by a reset that is under way.
        self.consumer.seek(self._partition, start)

    async def follow(self, rereads: Rereads) -> Trouble:
        """Deliver until something is wrong, and say what."""
        watch = Watch(self._timing, rereads, self._clock(), self._end)
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
                return trouble

    async def _deliver(self, records: Sequence[ConsumerRecord]) -> Trouble | None:
        slice_ends = self._clock() + limits.SOURCE_SLICE
        for record in records:
            if self._unconfirmed:
                if self.place is None or not is_same(self.place, record.offset, record.value):
                    return Trouble("the log is not the one that was read before", from_beginning=True)
                self._unconfirmed = False
                continue
            if record.value is not None:
                self._sink.deliver(record.value)
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
        )
