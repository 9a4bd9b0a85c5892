"""How the Kafka source finds a snapshot, with a sink that knows what is genuine."""

import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from ostraka_consumers.sources import KafkaSource
from ostraka_consumers.sources._aiokafka import safe_stop
from ostraka_consumers.sources._policy import Place, Resume
from ostraka_consumers.trust.receipt import Outcome, Receipt
from ostraka_schemas.records import Position
from ostraka_schemas.snapshots import SnapshotState
from tests.consumers.sources.recording import BRISK, RecordingSink, eventually, numbered, produce, running
from tests.consumers.sources.test_reader import opened
from tests.kafka.broker import Broker
from tests.kafka.fixtures import FreshTopic
from tests.support.fake_issuer import FakeIssuer

STATE = SnapshotState(latest_iat=1_800_000_000)


class SnapshotSink(RecordingSink):
    """Takes the parts that ``issuer`` has signed, once it has the root document; refuses everything forged."""

    def __init__(self, issuer: FakeIssuer) -> None:
        super().__init__()
        self._issuer = issuer
        self.genuine: set[bytes] = set()
        self.refused = 0

    def deliver(self, raw: bytes) -> Receipt:
        if raw in self._issuer.root_files():
            self.root_version = 1
        elif raw.count(b".") == 2 and (self.root_version == 0 or raw not in self.genuine):
            self.refused += 1
            return Receipt(Outcome.REFUSED, "no_root_yet" if self.root_version == 0 else "bad_signature")
        super().deliver(raw)
        return Receipt(Outcome.SNAPSHOT if raw in self.genuine else Outcome.DUPLICATE)


@pytest.fixture
def issuer() -> FakeIssuer:
    issuer = FakeIssuer()
    issuer.open()
    return issuer


@pytest.fixture
def sink(issuer: FakeIssuer) -> SnapshotSink:
    return SnapshotSink(issuer)


def snapshot_of(issuer: FakeIssuer, sink: SnapshotSink, parts: int) -> list[bytes]:
    """A genuine snapshot, one record further on than the one before."""
    issuer.cut_subject("somebody")
    made = [issuer.snapshot_part(STATE, part, parts) for part in range(1, parts + 1)]
    sink.genuine.update(made)
    return made


async def produce_aged(bootstrap: str, topic: str, records: dict[bytes, float]) -> None:
    """Writes records as if at these times, the oldest first."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    try:
        await producer.start()
        for raw, at in sorted(records.items(), key=lambda entry: entry[1]):
            await producer.send_and_wait(topic, raw, partition=0, timestamp_ms=int(at * 1000))
    finally:
        await safe_stop(producer)


class Topics:
    """A feed and the snapshots beside it."""

    def __init__(self, broker: Broker, feed: str, snapshots: str) -> None:
        self.broker, self.feed, self.snapshots = broker, feed, snapshots

    @contextlib.asynccontextmanager
    async def followed(self, sink: RecordingSink) -> AsyncIterator[None]:
        source = KafkaSource(self.broker.bootstrap, topic=self.feed, fetch_max_wait_ms=20, timing=BRISK)
        async with running(source, sink):
            yield


@pytest.fixture
async def topics(kafka: Broker, fresh_topic: FreshTopic) -> Topics:
    configs = {"max.message.bytes": "300000"} if kafka.true_kafka else None
    feed = await fresh_topic("feed")
    topics = Topics(kafka, feed, await fresh_topic("snapshots", configs=configs))
    await produce(kafka.bootstrap, feed, numbered(1, 3))
    return topics


async def test_roots_then_the_parts_of_the_newest_then_the_feed(
    topics: Topics, issuer: FakeIssuer, sink: SnapshotSink
) -> None:
    older, newer = snapshot_of(issuer, sink, 2), snapshot_of(issuer, sink, 3)
    roots = issuer.root_files()
    await produce(topics.broker.bootstrap, topics.snapshots, [*roots, *older, *roots, *newer])
    async with topics.followed(sink):
        await sink.holds(*roots, *roots, *newer, *numbered(1, 3))
    assert sink.states == ["connecting", "looking for a snapshot", "reading"]


async def test_one_that_is_not_whole_is_no_reason_to_have_none(
    topics: Topics, issuer: FakeIssuer, sink: SnapshotSink
) -> None:
    older, newer = snapshot_of(issuer, sink, 2), snapshot_of(issuer, sink, 3)
    roots = issuer.root_files()
    await produce(topics.broker.bootstrap, topics.snapshots, [*roots, *older, *roots, newer[0], newer[2]])
    async with topics.followed(sink):
        await sink.holds(*roots, *roots, *older, *numbered(1, 3))


async def test_rubbish_around_it_costs_only_time(topics: Topics, issuer: FakeIssuer, sink: SnapshotSink) -> None:
    genuine = snapshot_of(issuer, sink, 3)
    thief = FakeIssuer(records=[*issuer.records])
    forged = []
    for _ in range(5):
        thief.cut_subject("nobody")
        forged.append(thief.snapshot_part(STATE))
    # Parts that claim to belong to the genuine one.
    copied = [thief.snapshot_part(STATE, 2, 3, head=issuer.head, iat=issuer.now) for _ in range(3)]
    rubbish = [None, b"", b"\xff" * 1_000, b"{", b"{" * 60_000, b"a.b.c", issuer.records[0]]
    written = [
        *issuer.root_files(),
        genuine[0],
        *copied[:2],
        None,
        genuine[1],
        *rubbish,
        genuine[2],
        *copied[2:],
        *forged,
        *([None, b"rubbish"] * 200),
    ]
    await produce(topics.broker.bootstrap, topics.snapshots, written)
    async with topics.followed(sink):
        await eventually(lambda: sink.delivered[-3:] == numbered(1, 3))
    assert [raw for raw in sink.delivered if raw in sink.genuine] == genuine
    assert sink.refused >= len(forged)


async def test_only_rubbish_is_no_failure(topics: Topics, sink: SnapshotSink) -> None:
    await produce(topics.broker.bootstrap, topics.snapshots, [None, b"", b"\xff" * 1_000, b"a.b.c"] * 50)
    async with topics.followed(sink):
        await sink.holds(*numbered(1, 3))


async def test_the_largest_parts_fit(topics: Topics, issuer: FakeIssuer, sink: SnapshotSink) -> None:
    body = issuer.payload(
        {"urn:ostraka:event:snapshot": {"part": 1, "parts": 1, "state": {"filling": "x" * 195_000}}},
        feed={"epoch": 1, "seq": 2, "hash": "A" * 43},
    )
    part = issuer.sign_payload(body)
    assert 260_000 < len(part) <= 262_144
    sink.genuine.add(part)
    await produce(topics.broker.bootstrap, topics.snapshots, [*issuer.root_files(), part])
    async with topics.followed(sink):
        await sink.holds(*issuer.root_files(), part, *numbered(1, 3))


@pytest.mark.true_kafka
async def test_reading_begins_near_the_snapshot(
    kafka: Broker, fresh_topic: FreshTopic, issuer: FakeIssuer, sink: SnapshotSink
) -> None:
    now = time.time()
    issuer.clock.step_wall(now - issuer.clock.now().wall)
    topics = Topics(kafka, await fresh_topic("feed"), await fresh_topic("snapshots"))
    written = [*issuer.root_files(), *snapshot_of(issuer, sink, 1)]
    await produce(kafka.bootstrap, topics.snapshots, written)
    # One record every half minute, the last one now.
    await produce_aged(kafka.bootstrap, topics.feed, {raw: now - 30 * age for age, raw in enumerate(numbered(1, 30))})
    async with topics.followed(sink):
        await sink.holds(*written, b"record 3", b"record 2", b"record 1")
        # What turns out to be missing is read from the beginning all the same.
        sink.incomplete = True
        await eventually(lambda: b"record 30" in sink.delivered)


@pytest.mark.true_kafka
async def test_retention_that_passed_the_place_makes_it_look_for_a_snapshot(
    topics: Topics, issuer: FakeIssuer, sink: SnapshotSink
) -> None:
    snapshot = snapshot_of(issuer, sink, 2)
    bootstrap = topics.broker.bootstrap
    await produce(bootstrap, topics.snapshots, [*issuer.root_files(), *snapshot])
    await produce(bootstrap, topics.feed, numbered(4, 30))
    sink.position = Position(1, 2)
    async with opened(topics.broker, topics.feed, sink, Place(2, b"record 3")):
        assert sink.delivered == []
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topics.feed, 0): RecordsToDelete(before_offset=25)})
    finally:
        await admin.close()
    async with opened(topics.broker, topics.feed, sink, Place(2, b"record 3")) as reader:
        assert sink.delivered == [*issuer.root_files(), *snapshot]
        assert await reader.consumer.position(TopicPartition(topics.feed, 0)) == 25


async def test_who_knows_the_place_reads_no_snapshot_unless_it_is_wanted(
    topics: Topics, issuer: FakeIssuer, sink: SnapshotSink
) -> None:
    snapshot = snapshot_of(issuer, sink, 2)
    await produce(topics.broker.bootstrap, topics.snapshots, [*issuer.root_files(), *snapshot])
    place = Resume(Place(2, b"record 3")).place
    async with opened(topics.broker, topics.feed, sink, place):
        assert sink.delivered == []
    sink.wants_snapshot = True
    async with opened(topics.broker, topics.feed, sink, place):
        assert sink.delivered == [*issuer.root_files(), *snapshot]


async def test_who_wants_none_reads_all_that_the_topic_holds(
    topics: Topics, issuer: FakeIssuer, sink: SnapshotSink
) -> None:
    await produce(topics.broker.bootstrap, topics.snapshots, [*issuer.root_files(), *snapshot_of(issuer, sink, 2)])
    bootstrap, feed = topics.broker.bootstrap, topics.feed
    async with running(KafkaSource(bootstrap, topic=feed, snapshots="", fetch_max_wait_ms=20, timing=BRISK), sink):
        await sink.holds(*numbered(1, 3))
    assert sink.states == ["connecting", "reading"]
