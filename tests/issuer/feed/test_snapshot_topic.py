"""Snapshots on Kafka: whole, behind the root documents, again and again, whatever others do to the topic."""

import asyncio
from random import Random

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from ostraka_issuer.feed.kafka import make_admin
from ostraka_issuer.feed.snapshot import Snapshot
from ostraka_issuer.feed.snapshot_topic import SnapshotPublisher
from ostraka_issuer.feed.topic import ensure_topic, snapshots_topic
from ostraka_issuer.settings import IssuerSettings
from ostraka_schemas.limits import SNAPSHOT_PART_MAX_BYTES
from ostraka_schemas.records import Head, Position
from ostraka_schemas.topics import SNAPSHOTS
from tests.issuer.feed.test_snapshots import busy, followed, snapshot_of
from tests.issuer.feed.world import produce, settings_for, topic_values, until
from tests.kafka.broker import Broker
from tests.kafka.fixtures import FreshTopic
from tests.support.fake_issuer import FakeIssuer

ROOTS = [b'{"root": 1}', b'{"root": 2}']


def snapshot(name: bytes, count: int = 3, size: int = 100) -> Snapshot:
    parts = [b"%b-%d-" % (name, number) + b"x" * size for number in range(count)]
    body = b"".join(part + b"\n" for part in parts)
    return Snapshot(Head(Position(1, 1), bytes(32)), 1, 1, "kid", parts, body, '"tag"')


@pytest.fixture
def settings(kafka: Broker, topic_prefix: str) -> IssuerSettings:
    return settings_for(kafka, f"{topic_prefix}.feed")


class Publishing:
    """A publisher at work."""

    def __init__(self, settings: IssuerSettings, every: float = 3_600) -> None:
        self.settings = settings
        self.topic = snapshots_topic(settings).name
        self.tenure: object = "first"
        self.publisher = SnapshotPublisher(
            self.roots, settings, random=Random(1), every=every, tenure=lambda: self.tenure
        )

    async def roots(self) -> list[bytes]:
        return ROOTS

    async def __aenter__(self) -> "Publishing":
        self.task = asyncio.create_task(self.publisher.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})

    async def publish(self, newest: Snapshot) -> None:
        self.publisher.offer(newest)
        await until(lambda: self.publisher.published is newest, "a published snapshot")

    async def values(self) -> list[bytes | None]:
        return await topic_values(self.settings.kafka, self.topic)


def test_the_topic_goes_by_the_name_of_the_feed() -> None:
    assert snapshots_topic(settings_for(None, "ostraka.feed")).name == SNAPSHOTS.name
    assert snapshots_topic(settings_for(None, "tenant.feed")).name == "tenant.snapshots"


async def test_root_documents_then_all_parts_and_each_snapshot_again_whole(settings: IssuerSettings) -> None:
    first, second = snapshot(b"first", 20), snapshot(b"second")
    async with Publishing(settings) as at_work:
        await at_work.publish(first)
        assert await at_work.values() == [*ROOTS, *first.parts]
        await at_work.publish(second)
        assert await at_work.values() == [*ROOTS, *first.parts, *ROOTS, *second.parts]
        assert at_work.publisher.foreign == 0
        assert at_work.publisher.doing == "published"


async def test_a_part_may_be_larger_than_any_record(settings: IssuerSettings) -> None:
    large = snapshot(b"large", 3, SNAPSHOT_PART_MAX_BYTES - 100)
    async with Publishing(settings) as at_work:
        await at_work.publish(large)
        assert (await at_work.values())[2:] == large.parts


async def test_a_true_snapshot_of_many_parts(settings: IssuerSettings) -> None:
    issuer = busy(FakeIssuer(), 40_000)
    newest = await snapshot_of(issuer, followed(issuer))
    assert len(newest.parts) > 3
    async with Publishing(settings) as at_work:
        await at_work.publish(newest)
        assert (await at_work.values())[2:] == newest.parts


async def test_the_newest_comes_again_before_retention_takes_it(settings: IssuerSettings) -> None:
    only = snapshot(b"only")
    async with Publishing(settings, every=0.05) as at_work:
        await at_work.publish(only)

        async def thrice() -> bool:
            return (await at_work.values())[:15] == 3 * [*ROOTS, *only.parts]

        await until(thrice)


async def test_what_others_write_is_counted_and_buries_nothing_for_long(settings: IssuerSettings) -> None:
    """Tombstones and garbage (faults.md B8)."""
    async with Publishing(settings) as at_work:
        await at_work.publish(snapshot(b"first"))
        await produce(settings.kafka, at_work.topic, b"garbage", b"", *[b"more"] * 5)
        newest = snapshot(b"second")
        await at_work.publish(newest)
        assert (await at_work.values())[-5:] == [*ROOTS, *newest.parts]
        assert at_work.publisher.foreign == 7
        await at_work.publish(snapshot(b"third"))
        assert at_work.publisher.foreign == 7


async def test_what_the_other_replica_wrote_while_it_had_the_lease_is_not_foreign(settings: IssuerSettings) -> None:
    async with Publishing(settings) as here, Publishing(settings) as there:
        await here.publish(snapshot(b"first"))
        here.publisher.offer(None)
        await there.publish(snapshot(b"second"))
        here.tenure, there.tenure = "second", None
        await here.publish(snapshot(b"third"))
        there.tenure = "second"
        await there.publish(snapshot(b"fourth"))
        assert (here.publisher.foreign, there.publisher.foreign) == (0, 0)
        await produce(settings.kafka, here.topic, b"garbage")
        await there.publish(snapshot(b"fifth"))
        assert there.publisher.foreign == 1, "within one possession of the lease it is still somebody else's"


async def test_a_topic_that_was_deleted_is_made_and_filled_again(settings: IssuerSettings) -> None:
    async with Publishing(settings) as at_work:
        await at_work.publish(snapshot(b"first"))
        admin: AIOKafkaAdminClient = make_admin(settings)
        await admin.start()
        await admin.delete_topics([at_work.topic])
        await admin.close()
        newest = snapshot(b"second")
        await at_work.publish(newest)

        async def whole() -> bool:
            return await at_work.values() == [*ROOTS, *newest.parts]

        # The one that was deleted may have taken it with it; the next time it is there.
        if not await whole():
            await at_work.publish(newest._replace(iat=2))
        await until(whole)
        assert at_work.publisher.foreign == 0


@pytest.mark.true_kafka
async def test_a_topic_that_is_wrong_is_said_and_tried_again(
    kafka: Broker, fresh_topic: FreshTopic, settings: IssuerSettings
) -> None:
    await fresh_topic("snapshots", partitions=3, configs=SNAPSHOTS.configs)
    async with Publishing(settings) as at_work:
        at_work.publisher.offer(snapshot(b"first"))
        await until(lambda: "3 partitions, not 1" in at_work.publisher.doing)
        assert at_work.publisher.published is None
        assert not at_work.task.done()


@pytest.mark.true_kafka
async def test_it_is_made_with_short_retention_and_room_for_a_part(settings: IssuerSettings) -> None:
    wanted = snapshots_topic(settings)
    await ensure_topic(settings, wanted)
    await ensure_topic(settings, wanted)


async def test_without_a_broker_it_waits_and_says_why() -> None:
    async with Publishing(settings_for(None, "feed")) as at_work:
        at_work.publisher.offer(snapshot(b"first"))
        await until(lambda: at_work.publisher.doing.startswith("waiting: no broker answers at"))
        assert not at_work.task.done()


async def test_nothing_is_published_before_there_is_one(settings: IssuerSettings) -> None:
    async with Publishing(settings) as at_work:
        for _ in range(5):
            await asyncio.sleep(0)
        assert at_work.publisher.doing == "waiting for a snapshot"
