"""What a source follows, behind one face: a topic of a broker, or a server. Both carry what one fake issuer says."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from ostraka_consumers import Verifier
from ostraka_consumers.clock import ManualClock
from ostraka_consumers.sources import HttpSource, KafkaSource
from ostraka_consumers.sources.base import Source
from ostraka_consumers.trust.core import TrustCore
from ostraka_consumers.trust.instant import Instant
from ostraka_schemas.topics import FEED, SNAPSHOTS, snapshots_topic
from tests.consumers.sources import knowing, recording
from tests.consumers.sources.feed_server import FeedServer
from tests.consumers.sources.recording import eventually, produce
from tests.kafka.broker import Broker
from tests.kafka.topics import create_topic
from tests.support.fake_issuer import FakeIssuer


class RunningClock(ManualClock):
    """The machine's clocks: what is waited for here takes its time."""

    def now(self) -> Instant:
        return Instant(time.time(), time.monotonic())


def new_issuer() -> FakeIssuer:
    """An issuer whose feed is open."""
    issuer = FakeIssuer(clock=RunningClock())
    issuer.open()
    return issuer


def snapshot_at_head(issuer: FakeIssuer) -> list[bytes]:
    """The parts of a snapshot of everything the issuer has said so far."""
    honest = TrustCore(issuer.anchor)
    for raw in [*issuer.records, issuer.heartbeat()]:
        honest.receive(raw, issuer.clock.now())
    assert honest.state is not None
    return issuer.snapshot(honest.state)


class Channel(Protocol):
    """Carries what ``issuer`` says.

    Attributes:
        forgotten: how many of the oldest records are not there any more.
    """

    issuer: FakeIssuer
    forgotten: int

    def source(self) -> Source: ...

    async def publish(self, *, withheld: int = 0) -> None:
        """Bring over whatever is new, but for the newest ``withheld`` records; then a heartbeat that speaks of all."""
        ...

    async def publish_snapshot(self) -> None: ...

    async def forget(self) -> None:
        """Let retention pass over everything that was published."""
        ...

    async def stop(self) -> None: ...

    async def start(self) -> None: ...


@dataclass
class KafkaChannel:
    """Two topics of a broker, made as an issuer makes them."""

    broker: Broker
    topic: str
    issuer: FakeIssuer = field(default_factory=new_issuer)
    forgotten: int = 0
    _written: int = 0

    def source(self) -> Source:
        return KafkaSource(self.broker.bootstrap, topic=self.topic, fetch_max_wait_ms=20, timing=recording.BRISK)

    async def create(self) -> None:
        configs = {} if not self.broker.true_kafka else {"feed": FEED.configs, "snapshots": SNAPSHOTS.configs}
        await create_topic(self.broker.bootstrap, self.topic, configs=configs.get("feed"))
        await create_topic(self.broker.bootstrap, snapshots_topic(self.topic), configs=configs.get("snapshots"))

    async def publish(self, *, withheld: int = 0) -> None:
        upto = len(self.issuer.records) - withheld
        new = self.issuer.records[max(self._written, self.forgotten) : upto]
        self._written = upto
        await produce(self.broker.bootstrap, self.topic, [*new, self.issuer.heartbeat()])

    async def publish_snapshot(self) -> None:
        written = [*self.issuer.root_files(), *snapshot_at_head(self.issuer)]
        await produce(self.broker.bootstrap, snapshots_topic(self.topic), written)

    async def forget(self) -> None:
        partition = TopicPartition(self.topic, 0)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.broker.bootstrap)
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        await consumer.start()
        await admin.start()
        try:
            end = (await consumer.end_offsets([partition]))[partition]
            await admin.delete_records({partition: RecordsToDelete(before_offset=end)})
        finally:
            await admin.close()
            await consumer.stop()

    async def stop(self) -> None:
        await self.broker.kill()

    async def start(self) -> None:
        await self.broker.restart()


@dataclass
class HttpChannel:
    """A server."""

    issuer: FakeIssuer = field(default_factory=new_issuer)
    server: FeedServer = field(init=False)

    def __post_init__(self) -> None:
        self.server = FeedServer(self.issuer)

    @property
    def forgotten(self) -> int:
        return self.server.forgotten

    @forgotten.setter
    def forgotten(self, value: int) -> None:
        self.server.forgotten = value

    def source(self) -> Source:
        return HttpSource(self.server.url, timing=knowing.BRISK)

    async def publish(self, *, withheld: int = 0) -> None:
        self.server.withheld = withheld
        self.server.roots = self.issuer.root_files()
        await self.server.beat()

    async def publish_snapshot(self) -> None:
        self.server.snapshot = snapshot_at_head(self.issuer)

    async def forget(self) -> None:
        self.server.forgotten = len(self.issuer.records)

    async def stop(self) -> None:
        await self.server.stop()

    async def start(self) -> None:
        await self.server.start()


def verifier_of(channel: Channel, state_directory: Path | None = None) -> Verifier:
    """A verifier that follows the channel, and nothing else."""
    return Verifier(
        channel.issuer.anchor,
        audience="orders",
        sources=[channel.source()],
        clock=channel.issuer.clock,
        state_directory=state_directory,
    )


async def at_head(verifier: Verifier, issuer: FakeIssuer) -> None:
    """Waits until the verifier has applied everything that the issuer has said."""
    await eventually(lambda: verifier.status.head == issuer.head, lambda: str(verifier.status.to_dict()))
