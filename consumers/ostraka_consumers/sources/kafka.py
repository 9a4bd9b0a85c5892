"""Follow the feed on Kafka.

aiokafka never says that a cluster is dead, that a topic was replaced or that it has stopped fetching, and it does not
go back to the addresses it was given. So it is watched from outside, by the signed heartbeats, and built anew when they
stop.
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError

from ostraka_consumers import limits
from ostraka_consumers.errors import ConfigurationError, SourceError
from ostraka_consumers.uninterrupted import is_cancelled
from ostraka_schemas.topics import FEED_TOPIC, snapshots_topic

from ._aiokafka import forbid_topic_creation, safe_stop
from ._aiokafka_bounds import bound_frames, pass_over_compressed
from ._backoff import Backoff
from ._policy import KafkaTiming, Remedies, Resume, Trouble
from ._quiet import quiet_client
from ._reader import Around, NotUsable, Reader, nothing_around
from ._refusal import name_of, why_refused
from .base import FeedSink
from .security import KafkaSecurity

logger = logging.getLogger("ostraka.sources.kafka")


class KafkaSource:
    """The feed from a Kafka topic: the newest snapshot if there is one, then what follows it, as it is written.

    Without a snapshot it is everything in the topic, from its beginning. Needs no consumer group, commits nothing,
    creates nothing; the right to describe and read both topics is enough.

    Args:
        bootstrap: ``host:port``, several separated by commas, or a sequence of them.
        topic: the feed's topic.
        snapshots: the topic of the snapshots; if left out the one beside ``topic``, ``ostraka.snapshots`` as a rule.
            Empty: none are read, only what the feed's topic holds.
        security: TLS and credentials; plain TCP without.
        fetch_max_wait_ms: how long a broker holds back the answer while there is nothing new. Apache Kafka answers at
            once when something comes; the embedded broker of ``ostraka dev`` looks only twice in that time: 10 there.
        client_id: shown in the broker's logs and quotas.
        name: tells several Kafka sources of one verifier apart.
        timing: how patient it is.
        around: entered around the delivery of each record of the feed, with the headers it came with, which nobody
            signed and which decide nothing: for traces. May not raise.
        clock: seconds, monotonic.
        jitter: picks a pause between 0 and its argument.

    Raises:
        ConfigurationError: no address, or one that is not ``host:port``.
    """

    def __init__(
        self,
        bootstrap: str | Sequence[str],
        *,
        topic: str = FEED_TOPIC,
        snapshots: str | None = None,
        security: KafkaSecurity | None = None,
        fetch_max_wait_ms: int = 500,
        client_id: str = "ostraka-verifier",
        name: str = "kafka",
        timing: KafkaTiming | None = None,
        around: Around = nothing_around,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float], float] = lambda most: random.uniform(0, most),  # noqa: S311 - no secret
    ) -> None:
        self._bootstrap: Final = _addresses(bootstrap)
        self._topic: Final = topic
        self._snapshots: Final = snapshots_topic(topic) if snapshots is None else snapshots
        self._security = security
        self._fetch_max_wait_ms = fetch_max_wait_ms
        self._client_id = client_id
        self._name: Final = name
        self._timing = timing or KafkaTiming()
        self._around = around
        self._clock = clock
        self._jitter = jitter

    @property
    def name(self) -> str:
        """Names the source in reports."""
        return self._name

    async def run(self, sink: FeedSink) -> None:
        """Deliver until cancelled. Outages are reported and retried, never raised.

        Raises:
            SourceError: aiokafka does not accept the configuration.
        """
        with quiet_client():
            await self._run(sink)

    async def _run(self, sink: FeedSink) -> None:
        backoff = Backoff(self._timing, self._jitter)
        remedies = Remedies(self._timing)
        resume = Resume()
        while True:
            reader = self._new_reader(sink, resume)
            began = self._clock()
            waiting, trouble = False, None
            try:
                trouble = await self._live(reader, sink, remedies)
                reason = trouble.reason
            except NotUsable as error:
                waiting = True
                reason = str(error)
            except asyncio.CancelledError:
                if is_cancelled():
                    raise
                reason = "the Kafka client gave up"
            except Exception as error:  # noqa: BLE001 - whatever it is, the feed must be followed again
                reason = await self._explain(error)
            resume = resume.after(reader.place, trouble)
            sink.report(f"waiting: {reason}")
            at_most = self._timing.wait_max if waiting else math.inf
            await asyncio.sleep(backoff.pause(self._clock() - began, at_most=at_most))

    async def _live(self, reader: Reader, sink: FeedSink, remedies: Remedies) -> Trouble:
        try:
            sink.report("connecting")
            async with asyncio.timeout(self._timing.open_max):
                await reader.open()
            await reader.fetch_snapshot()
            async with asyncio.timeout(self._timing.open_max):
                await reader.seek()
            sink.report("reading")
            return await reader.follow(remedies)
        finally:
            await safe_stop(reader.consumer)

    def _new_reader(self, sink: FeedSink, resume: Resume) -> Reader:
        try:
            consumer = AIOKafkaConsumer(**self._client_options())
        except (TypeError, ValueError) as error:
            raise SourceError(f"Kafka client configuration: {error}") from error
        forbid_topic_creation(consumer)
        bound_frames(consumer)
        pass_over_compressed(consumer)
        return Reader(
            consumer,
            self._topic,
            sink,
            snapshots=self._snapshots,
            resume=resume,
            timing=self._timing,
            clock=self._clock,
            around=self._around,
        )

    def _client_options(self) -> dict[str, Any]:
        return {
            "bootstrap_servers": self._bootstrap,
            "client_id": self._client_id,
            "group_id": None,
            "enable_auto_commit": False,
            # An offset that is not there must be an error: any other value silently loses or repeats records.
            "auto_offset_reset": "none",
            "fetch_max_wait_ms": self._fetch_max_wait_ms,
            "fetch_max_bytes": limits.SOURCE_FETCH_BYTES,
            "max_partition_fetch_bytes": limits.SOURCE_FETCH_BYTES,
            "request_timeout_ms": int(self._timing.request_max * 1000),
            "metadata_max_age_ms": int(self._timing.metadata_max * 1000),
            "retry_backoff_ms": limits.SOURCE_RETRY_BACKOFF_MS,
            **(self._security.client_options() if self._security else {}),
        }

    async def _explain(self, error: Exception) -> str:
        if isinstance(error, KafkaConnectionError):
            security = self._security.client_options() if self._security else None
            return await why_refused(self._bootstrap, security) or f"the connection failed: {name_of(error)}"
        if isinstance(error, TopicAuthorizationFailedError):
            return f"not allowed to read the topic {self._topic}"
        if isinstance(error, TimeoutError):
            return "a broker does not answer in time"
        logger.debug("the Kafka consumer failed", exc_info=error)
        return name_of(error)


def _addresses(bootstrap: str | Sequence[str]) -> list[str]:
    given = bootstrap.split(",") if isinstance(bootstrap, str) else bootstrap
    addresses = [address.strip() for address in given]
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise ConfigurationError(f"{address!r} is not a Kafka address: write host:port")
    if not addresses:
        raise ConfigurationError("a Kafka source needs at least one address: host:port")
    return addresses
