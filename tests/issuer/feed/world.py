"""What the tests of the feed have in common: a database, a key, intents, and readers that trust nothing."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from sqlalchemy import Connection

from ostraka_consumers.clock import Clock, ManualClock
from ostraka_consumers.sources._aiokafka import forbid_topic_creation, safe_stop
from ostraka_issuer.feed.intents import WaitingIntent
from ostraka_issuer.feed.log import FeedLog, StoredRecord
from ostraka_issuer.feed.regime import Regime
from ostraka_issuer.feed.role import FeedRole
from ostraka_issuer.feed.sequencer import Sequencer
from ostraka_issuer.feed.writer import Writer
from ostraka_issuer.settings import IssuerSettings, load_settings
from ostraka_issuer.store import Store, migrate, open_store
from ostraka_issuer.store.intents import add_intent
from ostraka_schemas import base64url, jws
from ostraka_schemas.events import Event, PermissionRevoked
from ostraka_schemas.jwk import SigningKey, VerificationKey
from ostraka_schemas.limits import RECORD_MAX_BYTES
from ostraka_schemas.records import GENESIS, Heartbeat, Position, Record, read_payload, record_hash
from ostraka_schemas.subjects import Uri
from tests.kafka.broker import Broker

ISSUER = "https://id.example"
KEY = SigningKey.generate("EdDSA")
DEADLINE = 60.0


def new_store(home: Path, url: str | None = None) -> Store:
    """The database at ``url``, or the SQLite file in ``home``, migrated."""
    home.mkdir(exist_ok=True)
    settings = load_settings(home=home, database=url)
    migrate(settings)
    return open_store(settings)


async def commit(store: Store, *txns: str, event: Event | None = None, at: float = 1_800_000_000.0) -> None:
    """Commit one intent for each txn, in one transaction."""
    async with store.write() as tx:
        for txn in txns:
            await add_intent(
                tx,
                txn=txn,
                subject=Uri(uri=ISSUER),
                event=event or PermissionRevoked(permission="orders:create", reason_admin={"en": txn}),
                now=at,
            )


def writer_of(role: FeedRole) -> Writer:
    """What writes the feed: this process does."""
    assert role.writer is not None
    return role.writer


class Heard:
    """What a sequencer told."""

    def __init__(self) -> None:
        self.records: list[StoredRecord] = []
        self.refused: list[tuple[str, str]] = []

    def stored(self, records: Sequence[StoredRecord]) -> None:
        self.records.extend(records)

    def set_aside(self, intent: WaitingIntent, reason: str) -> None:
        self.refused.append((intent.txn, reason))


def alone(_connection: Connection) -> None:
    """Nobody else writes the feed."""


def new_sequencer(
    store: Store, heard: Heard | None = None, *, clock: Clock | None = None, batch: int = 256, epoch: int = 1
) -> Sequencer:
    heard = heard or Heard()
    return Sequencer(
        store,
        Regime(epoch, KEY),
        issuer=ISSUER,
        guard=alone,
        clock=clock or ManualClock(),
        stored=heard.stored,
        refused=heard.set_aside,
        batch=batch,
    )


async def stored(store: Store) -> list[bytes]:
    """The bytes of the whole feed."""
    return [record.raw for record in await FeedLog(store).after(None, 1_000_000)]


def read(raw: bytes, key: VerificationKey = KEY.public) -> Record | Heartbeat:
    """Read a record or heartbeat as a stranger would: shape, header, signature, content."""
    compact = jws.split(raw, max_bytes=RECORD_MAX_BYTES)
    header = jws.read_header(compact.header, typ=jws.TYP_EVENT)
    assert header.kid == key.kid
    jws.check(compact, header, key)
    return read_payload(base64url.decode(compact.payload))


def check_chain(raws: Sequence[bytes], epoch: int = 1) -> list[Record]:
    """Every record signed, in the next place, and pointing at the bytes before it."""
    records = []
    prev = GENESIS
    for seq, raw in enumerate(raws, start=1):
        record = read(raw)
        assert isinstance(record, Record)
        assert record.iss == ISSUER
        assert record.position == Position(epoch, seq)
        assert record.prev == prev
        assert record.defect is None
        prev = record_hash(raw)
        records.append(record)
    return records


def settings_for(broker: Broker | None, topic: str, **more: Any) -> IssuerSettings:
    return load_settings(
        issuer=ISSUER,
        kafka=broker.bootstrap if broker else "127.0.0.1:1",
        kafka_embedded=bool(broker and not broker.true_kafka),
        feed_topic=topic,
        **more,
    )


async def until(condition: Callable[[], Awaitable[Any]] | Callable[[], Any], what: str = "the condition") -> Any:
    """Wait for something to become true, and return it."""
    end = time.monotonic() + DEADLINE
    while True:
        found = condition()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"{what} did not come"
        await asyncio.sleep(0.02)


async def topic_values(bootstrap: str, topic: str) -> list[bytes | None]:
    """Everything that stands in the topic now."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False, auto_offset_reset="none"
    )
    forbid_topic_creation(consumer)
    values: list[bytes | None] = []
    try:
        await consumer.start()
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        consumer.seek(partition, (await consumer.beginning_offsets([partition]))[partition])
        while await consumer.position(partition) < end:
            found = await consumer.getmany(partition, timeout_ms=200)
            values.extend(record.value for record in found.get(partition, []))
    finally:
        await safe_stop(consumer)
    return values


async def produce(bootstrap: str, topic: str, *values: bytes) -> None:
    """Write to the topic as anybody could."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    try:
        await producer.start()
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)
    finally:
        await safe_stop(producer)


def holds_in_order(values: Sequence[bytes | None], raws: Sequence[bytes]) -> bool:
    """Whether one pass over the topic, holding nothing back, meets the whole feed; and every value is ours."""
    assert {value for value in values if value and isinstance(read(value), Record)} <= set(raws)
    left = iter(raws)
    wanted = next(left, None)
    for value in values:
        if value == wanted:
            wanted = next(left, None)
    return wanted is None


def heartbeats_of(values: Sequence[bytes | None]) -> list[Heartbeat]:
    """The heartbeats among the values, in order."""
    return [found for value in values if value and isinstance(found := read(value), Heartbeat)]
