"""The issuer reads its own topic before it publishes, and compares it with the database.

* What the database knows by position and hash is fine.
* What stops before the head, or has a hole, is *behind*: a lost tail, an emptied or a recreated topic. It is filled
  again from the first record that is missing; verifiers ignore what they know.
* A record or heartbeat signed with L that the database does not know is *ahead*: this database is an old copy, and
  going on would sign a second content for positions that verifiers have seen. The feed refuses to run. So is a root
  document that follows ours and that the database does not know.
* What belongs to an earlier epoch than the one that is open is *over*. No verifier listens to it any more, so it may be
  anything: an epoch is opened because the database no longer speaks for the one before, or L was stolen in it.
* Anything else is foreign: anybody who can write to the topic can put it there. It is counted; a batch that cannot be
  decoded, as one. What is compressed is passed over: it is none of ours, and nobody knows how much it becomes.

Only the open epoch is compared and filled. The topic is in feed order but for what was sent twice, and every refill
runs in order to the head. So one pass that counts up from the epoch's first record finds the first one missing; at
worst, it sends too much again.

Kafka deletes what is older than its retention, so a topic may begin in the middle of the feed. Then the count begins
with the first record or heartbeat of ours that is left: what was sent before it has been there, and whoever needs it
takes a snapshot. If nothing of ours is left, everything is sent again.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from ostraka_consumers.sources._aiokafka import Fetches, safe_start, safe_stop
from ostraka_schemas import base64url, jws
from ostraka_schemas.errors import MalformedError, SignatureMismatch, WireError
from ostraka_schemas.events import RootPublished
from ostraka_schemas.limits import RECORD_MAX_BYTES
from ostraka_schemas.records import Head, Heartbeat, Position, Record, read_payload, record_hash
from ostraka_schemas.root import verify_next_root

from ..errors import FeedAheadError
from ..limits import FEED_CHECK_PAGE, FEED_CHECK_SILENCE, KAFKA_STOP
from .log import FeedLog
from .roots import Voices

_POLL_MS: Final = 200
_BREATH: Final = 64
"""After so many entries (3 ms, if none is as expected) the event loop gets a turn."""


class Findings(NamedTuple):
    """What a topic holds.

    Attributes:
        until: every record up to and with this one is there, or was; ``None`` if not even the first is.
        end: the offset that the next record will get.
        foreign: entries that are none of ours, those aside that claim an epoch that is over; a batch that cannot be
            decoded is one, a compressed one is none.
    """

    until: Position | None
    end: int
    foreign: int


class Landmark(NamedTuple):
    """The last record known to be in the topic: where, and what."""

    offset: int
    head: Head


class Comparison:
    """Compares entries of a topic, in their order, with the database.

    Args:
        log: the database.
        voices: whose words are ours.
        shortened: the beginning of the topic was deleted.
    """

    def __init__(self, log: FeedLog, voices: Voices, *, shortened: bool = False, page: int = FEED_CHECK_PAGE) -> None:
        self._log = log
        self._voices = voices
        self._floor = Position(voices.epoch, 0)
        self._shortened = shortened
        self._page = page
        self._expected: deque[Head] = deque()
        self._known: dict[Position, bytes | None] = {}
        self.until: Position | None = None
        self.foreign = 0

    async def take(self, values: Iterable[bytes | None]) -> None:
        """Compare the next entries.

        Raises:
            FeedAheadError: one is ours and the database does not know it.
            StoreUnavailable: the database does not answer.
        """
        for count, value in enumerate(values, start=1):
            if count % _BREATH == 0:
                await asyncio.sleep(0)
            if value is None:
                self.foreign += 1
                continue
            digest = record_hash(value)
            if not self._expected:
                self._expected.extend(await self._log.hashes_after(self.until or self._floor, self._page))
            if self._expected and digest == self._expected[0].hash:
                self.until = self._expected.popleft().position
            else:
                await self._judge(value, digest)

    async def _judge(self, value: bytes, digest: bytes) -> None:
        try:
            compact = jws.split(value, max_bytes=RECORD_MAX_BYTES)
            header = jws.read_header(compact.header, typ=jws.TYP_EVENT)
            content = read_payload(base64url.decode(compact.payload))
        except MalformedError:
            self.foreign += 1
            return
        claimed = content.head if isinstance(content, Heartbeat) else Head(content.position, digest)
        if claimed.position.epoch < self._voices.epoch:
            return
        known = await self._hash_at(claimed.position)
        if known == claimed.hash:
            self._begin_at(claimed.position)
            return
        if self._is_ours(compact, header) or self._is_later_root(content):
            raise FeedAheadError(_ahead(claimed.position, known is not None))
        self.foreign += 1

    def _begin_at(self, position: Position) -> None:
        if self._shortened and self.until is None:
            self.until = position
            self._expected.clear()

    def _is_ours(self, compact: jws.Compact, header: jws.Header) -> bool:
        key = self._voices.keys.get(header.kid)
        if key is None:
            return False
        try:
            jws.check(compact, header, key)
        except (SignatureMismatch, MalformedError):
            return False
        return True

    def _is_later_root(self, content: Record | Heartbeat) -> bool:
        if self._voices.root is None or isinstance(content, Heartbeat) or not isinstance(content.event, RootPublished):
            return False
        event = content.event
        try:
            verify_next_root({"payload": event.payload, "signatures": event.signatures}, self._voices.root)
        except WireError:
            return False
        return True

    async def _hash_at(self, position: Position) -> bytes | None:
        # Heartbeats are many and mostly name the same heads.
        if position not in self._known:
            if len(self._known) >= self._page:
                self._known.clear()
            self._known[position] = await self._log.hash_at(position)
        return self._known[position]


def _ahead(position: Position, other: bool) -> str:
    what = f"other contents at {position} than" if other else f"a record at {position}, which is not in"
    return (
        f"the feed's topic holds {what} this database, signed with this issuer's keys: the database is an older "
        "copy than the topic. Publishing would contradict what verifiers have seen. Restore the newest copy of the "
        "database, or start a new epoch with a root document signed by the root keys: ostraka root new --new-epoch"
    )


Consume = Callable[[], AIOKafkaConsumer]


async def read_topic(consume: Consume, topic: str, log: FeedLog, voices: Voices) -> Findings:
    """Compare the whole topic with the database.

    Args:
        consume: makes a consumer, not started.
        voices: whose words are ours.

    Raises:
        FeedAheadError: see above.
        StoreUnavailable: the database does not answer.
        KafkaError: the broker does not.
    """
    async with _assigned(consume, topic) as (consumer, partition):
        begin, end = await _bounds(consumer, partition)
        comparison = Comparison(log, voices, shortened=begin > 0)
        consumer.seek(partition, begin)
        async with aclosing(_pages(consumer, partition, end)) as pages:
            async for values in pages:
                await comparison.take(values)
    return Findings(comparison.until, end, comparison.foreign)


async def find_again(consume: Consume, topic: str, landmark: Landmark) -> int | None:
    """Whether the topic still is what it was: the same bytes at the same offset.

    Returns:
        The offset that the next record will get, or ``None`` if the topic is another one or was cut.

    Raises:
        KafkaError: the broker does not answer.
    """
    async with _assigned(consume, topic) as (consumer, partition):
        begin, end = await _bounds(consumer, partition)
        is_there = begin <= landmark.offset < end and await _stands_there(consumer, partition, landmark)
    return end if is_there else None


async def is_another(consume: Consume, topic: str, landmark: Landmark) -> bool:
    """Whether the topic was made anew or cut: at that offset there is something else, or nothing yet.

    That it was taken by retention says nothing.

    Raises:
        KafkaError: the broker does not answer.
    """
    async with _assigned(consume, topic) as (consumer, partition):
        begin, end = await _bounds(consumer, partition)
        if landmark.offset < begin:
            return False
        return landmark.offset >= end or not await _stands_there(consumer, partition, landmark)


async def _bounds(consumer: AIOKafkaConsumer, partition: TopicPartition) -> tuple[int, int]:
    """The first offset that is there, and the next one that will be given."""
    end: int = (await consumer.end_offsets([partition]))[partition]
    begin: int = (await consumer.beginning_offsets([partition]))[partition]
    return begin, end


async def _stands_there(consumer: AIOKafkaConsumer, partition: TopicPartition, landmark: Landmark) -> bool:
    consumer.seek(partition, landmark.offset)
    async with aclosing(_pages(consumer, partition, landmark.offset + 1)) as pages:
        found = [value async for values in pages for value in values]
    return bool(found) and found[0] is not None and record_hash(found[0]) == landmark.head.hash


@asynccontextmanager
async def _assigned(consume: Consume, topic: str) -> AsyncIterator[tuple[AIOKafkaConsumer, TopicPartition]]:
    consumer = consume()
    try:
        await safe_start(consumer)
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        yield consumer, partition
    finally:
        await safe_stop(consumer, KAFKA_STOP)


async def _pages(
    consumer: AIOKafkaConsumer, partition: TopicPartition, end: int
) -> AsyncGenerator[list[bytes | None], None]:
    """What stands there before ``end``, in order; ``None`` for an entry without a value or a whole unreadable batch."""
    loop = asyncio.get_running_loop()
    fetches, passed = Fetches(consumer, partition, FEED_CHECK_PAGE), 0
    before, deadline = -1, 0.0
    # The position, not the last record's offset: it also passes what a log leaves out, and what is compressed.
    while (position := await consumer.position(partition)) < end:
        if position > before:
            before, deadline = position, loop.time() + FEED_CHECK_SILENCE
        records = await fetches.next(_POLL_MS)
        if records or fetches.passed > passed:
            # Never both: whoever passes a batch has nothing else to give.
            yield [record.value for record in records if record.offset < end] if records else [None]
            passed = fetches.passed
        elif loop.time() > deadline:
            raise KafkaTimeoutError(f"the broker gave nothing for {FEED_CHECK_SILENCE:.0f} s while the topic was read")
