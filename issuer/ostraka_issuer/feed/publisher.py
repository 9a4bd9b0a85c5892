"""The publisher brings stored records and heartbeats to the topic, in order, and sees that they stay there.

It works in sessions. A session makes sure of the topic, compares it with the database, and then sends with one producer
everything that is missing and everything that comes, several in flight, in order. Whatever goes wrong ends the session:
the producer is thrown away (an idempotent one of this library does not recover from a refused batch, and none finds a
broker that has moved) and, after a pause with full jitter, a new session looks where the topic stands. Nothing is lost,
because what is not acknowledged is still in the database; what is sent twice is the same bytes, which verifiers ignore.

A topic that was emptied or made anew shows in an acknowledged offset that is not higher than the one before, at the
beginning of a session, or in a look now and then at what was sent last. Then everything that is missing is sent again,
from the first record if need be.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from random import Random
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from ostraka_consumers.sources._aiokafka import safe_start, safe_stop
from ostraka_consumers.uninterrupted import is_cancelled
from ostraka_schemas.limits import RECORD_MAX_BYTES
from ostraka_schemas.records import Position

from ..errors import FeedAheadError, FeedError, LeaseLost, TopicMismatch
from ..failpoints import hit
from ..happenings import NOBODY, Happenings
from ..limits import FEED_LOOK_BACK, FEED_PROMPT, KAFKA_REQUEST, KAFKA_STOP
from ..settings import IssuerSettings
from .delivery import Deliveries, TopicLost
from .follower import Followers
from .kafka import make_consumer, make_producer
from .log import FeedLog, StoredRecord
from .marks import Marks
from .patience import new_backoff
from .roots import Voices
from .selfcheck import Findings, Landmark, find_again, is_another, read_topic
from .topic import ensure_topic
from .words import explain

logger = logging.getLogger(__name__)

_FOR_AN_OPERATOR = (TopicMismatch, TopicAuthorizationFailedError, ClusterAuthorizationFailedError)
"""The broker is there, and no waiting will help."""

MakeProducer = Callable[[IssuerSettings], AIOKafkaProducer]


class Publisher:
    """Publishes the feed to Kafka.

    Args:
        log: the stored feed.
        followers: where new records and heartbeats come from.
        marks: remembers what is published.
        voices: tells whose words in the topic are ours.
        settings: which broker and topic.
        looked: called whenever the topic was compared with the database, or could not be.
        connected: called when a session begins to send: verifiers were without news.
        random: chance for the pauses.
        make: makes producers; for tests.

        happenings: told of each record that is sent.

    Attributes:
        doing: in words.
        stopped: why nothing is published until an operator acts, or ``None``; an outage of the broker is none of that.
        foreign: entries of the topic that are not ours.
        refills: how often it was filled again.
    """

    def __init__(
        self,
        log: FeedLog,
        followers: Followers,
        marks: Marks,
        voices: Callable[[], Awaitable[Voices]],
        settings: IssuerSettings,
        *,
        looked: Callable[[], None],
        connected: Callable[[], None],
        random: Random,
        make: MakeProducer = make_producer,
        happenings: Happenings = NOBODY,
    ) -> None:
        self._log = log
        self._follower = followers.open()
        self._marks = marks
        self._voices = voices
        self._settings = settings
        self._looked = looked
        self._connected = connected
        self._backoff = new_backoff(random)
        self._make = make
        self._happenings = happenings
        self._landmark: Landmark | None = None
        self._floor = Position(1, 0)
        self._deliveries: Deliveries | None = None
        self.doing = "connecting"
        self.stopped: str | None = None
        self.foreign = 0
        self.refills = 0

    @property
    def is_connected(self) -> bool:
        """Whether the broker takes records, as far as acknowledgements tell."""
        if self._deliveries is None:
            return False
        since = self._deliveries.waiting_since
        return since is None or asyncio.get_running_loop().time() - since < FEED_PROMPT

    async def run(self) -> None:
        """Publish until cancelled. Outages are waited for.

        Raises:
            FeedAheadError: the topic knows more than the database.
            LeaseLost: another process writes the feed.
        """
        while True:
            try:
                await self._session()
            except TopicLost as news:
                logger.warning(
                    "the topic %s was emptied or made anew (%s): filling it", self._settings.feed_topic, news
                )
                self.doing = "filling the topic again"
            except (FeedAheadError, LeaseLost):
                raise
            except asyncio.CancelledError:
                if is_cancelled():
                    raise
                self._interrupted("the Kafka client gave up")
            except Exception as error:  # noqa: BLE001 - the library also leaks KeyError, AssertionError and others
                self._interrupted(await explain(error, self._settings), unexpected=error)
            await asyncio.sleep(self._backoff.pause())

    def _interrupted(self, reason: str, unexpected: Exception | None = None) -> None:
        self._looked()
        known = unexpected is None or isinstance(unexpected, (KafkaError, OSError, TimeoutError, FeedError))
        if reason != self.doing.removeprefix("waiting: "):
            logger.warning("not publishing: %s", reason, exc_info=None if known else unexpected)
        self.doing = f"waiting: {reason}"
        if isinstance(unexpected, _FOR_AN_OPERATOR):
            # Stays, whatever happens to the broker, until something is published: nobody has mended it before.
            self.stopped = reason

    async def _session(self) -> None:
        await ensure_topic(self._settings)
        findings = await self._look()
        self._looked()
        await self._begin(findings)
        producer = self._make(self._settings)
        deliveries = Deliveries(findings.end, self._marks.note)
        try:
            async with asyncio.timeout(2 * KAFKA_REQUEST):  # It would ask for its producer id for ever.
                await safe_start(producer)
            self._deliveries = deliveries
            self.doing = "publishing"
            self.stopped = None
            self._connected()
            await _together(self._send(producer, deliveries), deliveries.settle(), self._look_back(deliveries))
        finally:
            self._deliveries = None
            self._landmark = deliveries.landmark or self._landmark
            await safe_stop(producer, KAFKA_STOP)

    async def _look(self) -> Findings:
        """Where the topic stands: by its last known record, or else by reading all of it."""
        topic, landmark = self._settings.feed_topic, self._landmark
        if landmark is not None:
            end = await find_again(self._consume, topic, landmark)
            if end is not None:
                return Findings(landmark.head.position, end, self.foreign)
            self._landmark = None
        voices = await self._voices()
        self._floor = Position(voices.epoch, 0)
        return await read_topic(self._consume, topic, self._log, voices)

    async def _begin(self, findings: Findings) -> None:
        known, found = self._marks.until, findings.until or self._floor
        if known is not None and found < known and found.epoch == known.epoch:
            self.refills += 1
            logger.warning("the topic ends at %s, %s was published: sending again", findings.until, known)
        self.foreign = findings.foreign
        await self._marks.restart(findings.until)
        self._follower.rewind(found)

    async def _look_back(self, deliveries: Deliveries) -> None:
        """See that what was sent is still there, until cancelled: another topic may have taken the place of this one.

        Raises:
            TopicLost: it is not.
        """
        while True:
            await asyncio.sleep(FEED_LOOK_BACK)
            landmark = deliveries.landmark or self._landmark
            if landmark is None:
                continue
            # A broker that does not answer shows in what is sent.
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                if await is_another(self._consume, self._settings.feed_topic, landmark):
                    raise TopicLost(f"{landmark.head.position} is not at offset {landmark.offset} any more")

    def _consume(self) -> AIOKafkaConsumer:
        return make_consumer(self._settings)

    async def _send(self, producer: AIOKafkaProducer, deliveries: Deliveries) -> None:
        topic = self._settings.feed_topic
        while True:
            portion = await self._follower.take()
            for record in portion.records:
                _refuse_large(record)
                hit("publish.before_send")
                await deliveries.add(await self._hand_over(producer, record), record)
            if portion.beat is not None:
                await deliveries.add(await producer.send(topic, portion.beat.raw, partition=0), None)
            self._backoff.reset()

    async def _hand_over(self, producer: AIOKafkaProducer, record: StoredRecord) -> "asyncio.Future[Any]":
        sending = self._happenings.sending(record)
        try:
            future: asyncio.Future[Any] = await producer.send(
                self._settings.feed_topic, record.raw, partition=0, headers=[*sending.headers]
            )
        except BaseException as error:
            sending.ended(error)
            raise
        future.add_done_callback(lambda done: sending.ended(_outcome(done)))
        return future


def _outcome(done: "asyncio.Future[Any]") -> BaseException | None:
    return asyncio.CancelledError() if done.cancelled() else done.exception()


async def _together(*endless: Coroutine[Any, Any, None]) -> None:
    """Run endless coroutines; the first error of one ends all and is raised as it is."""
    tasks = [asyncio.create_task(each) for each in endless]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    # News about the topic says more than the failure that came with it.
    errors = [error for error in results if isinstance(error, Exception)]
    for error in sorted(errors, key=lambda error: not isinstance(error, TopicLost)):
        raise error
    raise KafkaError("the Kafka client gave up")


def _refuse_large(record: StoredRecord) -> None:
    # Nothing of this size was ever signed. If it is here all the same, a broker's refusal would break the producer.
    if len(record.raw) > RECORD_MAX_BYTES:
        raise FeedError(f"the stored record {record.position} has {len(record.raw)} bytes; the database is damaged")
