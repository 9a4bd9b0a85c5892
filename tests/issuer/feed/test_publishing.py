"""The feed on a broker that works."""

import asyncio
from functools import partial

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from ostraka_issuer.errors import FeedAheadError
from ostraka_issuer.feed import FeedRole
from ostraka_issuer.feed.kafka import make_admin, make_producer
from ostraka_issuer.feed.log import FeedLog
from ostraka_issuer.feed.publisher import Publisher
from ostraka_issuer.feed.topic import ensure_topic
from ostraka_issuer.settings import IssuerSettings
from ostraka_issuer.store import Store
from ostraka_schemas.records import Position
from tests.issuer.feed.test_selfcheck import foreign_record
from tests.issuer.feed.world import (
    KEY,
    check_chain,
    commit,
    heartbeats_of,
    holds_in_order,
    new_sequencer,
    produce,
    read,
    settings_for,
    stored,
    topic_values,
    until,
    writer_of,
)
from tests.kafka.broker import Broker


@pytest.fixture
def settings(kafka: Broker, topic_prefix: str) -> IssuerSettings:
    return settings_for(kafka, f"{topic_prefix}.feed", heartbeat_interval=1)


async def values(settings: IssuerSettings) -> list[bytes | None]:
    return await topic_values(settings.kafka, settings.feed_topic)


async def published(role: FeedRole) -> bool:
    state = await role.state()
    return state.connected and state.unpublished == 0 and state.head is not None


async def commit_and_place(store: Store, role: FeedRole, *txns: str) -> None:
    await commit(store, *txns)
    role.wake()
    assert await role.position_of(txns[-1], 30) is not None


async def test_what_is_committed_is_in_the_topic_in_order_and_marked(store: Store, settings: IssuerSettings) -> None:
    await commit(store, *(f"before{number}" for number in range(300)))
    async with FeedRole(store, KEY, settings) as role:
        for number in range(20):
            await commit_and_place(store, role, f"t{number}")
        await until(lambda: published(role))
        await until(lambda: FeedLog(store).published())
    assert await FeedLog(store).published() == Position(1, 320)
    found = await values(settings)
    records = [value for value in found if value and value in set(await stored(store))]
    assert records == await stored(store)
    check_chain(records)


async def test_heartbeats_come_after_the_records_they_vouch_for(store: Store, settings: IssuerSettings) -> None:
    async with FeedRole(store, KEY, settings) as role:
        for number in range(30):
            await commit_and_place(store, role, f"t{number}")
            writer_of(role).heart.beat_now()
        await until(lambda: published(role))
        await until(lambda: writer_of(role).heart._now.is_set() is False)

        async def vouched() -> bool:
            beats = heartbeats_of(await values(settings))
            return bool(beats) and beats[-1].head.position == Position(1, 30)

        await until(vouched)
    seen = Position(1, 0)
    for value in await values(settings):
        assert value is not None
        content = read(value)
        position = getattr(content, "position", None)
        if position is None:
            assert content.head.position <= seen  # type: ignore[union-attr]
        else:
            seen = position


async def test_a_restart_sends_nothing_again(store: Store, settings: IssuerSettings) -> None:
    async with FeedRole(store, KEY, settings) as role:
        await commit_and_place(store, role, "a", "b")
        await until(lambda: published(role))
    async with FeedRole(store, KEY, settings) as role:
        await commit_and_place(store, role, "c")
        await until(lambda: published(role))
        assert (await role.state()).refills == 0
    raws = await stored(store)
    assert [value for value in await values(settings) if value in raws] == raws


async def test_a_crash_before_the_mark_sends_nothing_again_either(store: Store, settings: IssuerSettings) -> None:
    async with FeedRole(store, KEY, settings) as role:
        await commit_and_place(store, role, "a", "b")
        await until(lambda: published(role))
    await FeedLog(store).mark_unpublished(None)
    async with FeedRole(store, KEY, settings) as role:
        await until(lambda: published(role))
    raws = await stored(store)
    assert [value for value in await values(settings) if value in raws] == raws
    assert await FeedLog(store).published() == Position(1, 2)


async def test_a_topic_that_lacks_the_tail_is_filled_although_all_is_marked(
    store: Store, settings: IssuerSettings
) -> None:
    await commit(store, *"abcdef")
    await new_sequencer(store).settle()
    raws = await stored(store)
    await ensure_topic(settings)
    await produce(settings.kafka, settings.feed_topic, *raws[:2])
    await FeedLog(store).mark_published(None, Position(1, 6), 1.0)
    async with FeedRole(store, KEY, settings) as role:
        await until(lambda: published(role))
        assert (await role.state()).refills == 1
    assert [value for value in await values(settings) if value in raws] == raws


async def test_strangers_in_the_topic_are_counted(store: Store, settings: IssuerSettings) -> None:
    await ensure_topic(settings)
    await produce(settings.kafka, settings.feed_topic, b"garbage", b"{}")
    async with FeedRole(store, KEY, settings) as role:
        await commit_and_place(store, role, "a")
        await until(lambda: published(role))
        assert (await role.state()).foreign == 2


async def test_a_topic_ahead_of_the_database_ends_the_feed(store: Store, settings: IssuerSettings) -> None:
    await commit(store, "a")
    await new_sequencer(store).settle()
    await ensure_topic(settings)
    await produce(settings.kafka, settings.feed_topic, *await stored(store), foreign_record(Position(1, 2)))
    before = await values(settings)
    role = FeedRole(store, KEY, settings)
    await role.start()
    with pytest.raises(FeedAheadError, match="older copy"):
        async with asyncio.timeout(60):
            await role.wait()
    with pytest.raises(FeedAheadError):
        await role.position_of("a", 1)
    assert "older copy" in (await role.state()).alarms[0]
    # Nor has anybody heard over HTTP that this copy is all there is.
    assert role.channel.beat is None
    await role.stop()
    assert await values(settings) == before


async def test_nobody_outside_hears_a_heartbeat_before_the_topic_was_looked_at(
    store: Store, settings: IssuerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commit(store, "a")
    going, result = asyncio.Event(), OSError("no broker answers")

    async def slowly(_: IssuerSettings) -> None:
        await going.wait()
        raise result

    monkeypatch.setattr("ostraka_issuer.feed.publisher.ensure_topic", slowly)
    async with FeedRole(store, KEY, settings) as role:
        inside = role._view.nearby.open()
        async with asyncio.timeout(30):
            while (await inside.take()).beat is None:
                continue
        assert role.channel.beat is None
        going.set()
        # Whoever has no broker at all is not kept waiting, and what is held back is not lost.
        assert await until(lambda: role.channel.beat)


async def test_no_broker_keeps_the_first_heartbeat_back_for_long(
    store: Store, settings: IssuerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commit(store, "a")

    async def never(_: IssuerSettings) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("ostraka_issuer.feed.publisher.ensure_topic", never)
    monkeypatch.setattr("ostraka_issuer.feed.herald.FEED_CHECK_HOLD", 0.2)
    async with FeedRole(store, KEY, settings) as role:
        assert await until(lambda: role.channel.beat)


async def test_a_topic_that_is_deleted_and_made_again_is_filled_again(store: Store, settings: IssuerSettings) -> None:
    async with FeedRole(store, KEY, settings) as role:
        await commit_and_place(store, role, *(f"t{number}" for number in range(50)))
        await until(lambda: published(role))
        admin = make_admin(settings)
        await admin.start()
        await admin.delete_topics([settings.feed_topic])
        await ensure_topic(settings)
        await admin.close()

        await commit_and_place(store, role, "after")
        raws = await stored(store)

        async def filled() -> bool:
            return holds_in_order(await values(settings), raws) and await published(role)

        await until(filled)
        assert (await role.state()).refills >= 1
        await until(lambda: FeedLog(store).published())
    check_chain(raws)


async def test_another_topic_in_the_place_of_the_first_is_noticed_without_anything_being_sent(
    store: Store, kafka: Broker, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its offsets go on where the old ones ended, and heartbeats are far between."""
    monkeypatch.setattr("ostraka_issuer.feed.publisher.FEED_LOOK_BACK", 0.2)
    settings = settings_for(kafka, f"{topic_prefix}.feed", heartbeat_interval=60)
    async with FeedRole(store, KEY, settings) as role:
        await commit_and_place(store, role, "a", "b", "c")
        await until(lambda: published(role))
        admin = make_admin(settings)
        await admin.start()
        await admin.delete_topics([settings.feed_topic])
        await ensure_topic(settings)
        await admin.close()
        await produce(settings.kafka, settings.feed_topic, *([b"rubbish"] * 10))
        raws = await stored(store)

        async def filled() -> bool:
            return holds_in_order([value for value in await values(settings) if value != b"rubbish"], raws)

        await until(filled)


async def test_a_topic_that_is_deleted_is_made_and_filled_again(store: Store, settings: IssuerSettings) -> None:
    async with FeedRole(store, KEY, settings) as role:
        await commit_and_place(store, role, "a", "b")
        await until(lambda: published(role))
        admin = make_admin(settings)
        await admin.start()
        await admin.delete_topics([settings.feed_topic])
        await commit_and_place(store, role, "c")
        raws = await stored(store)

        async def filled() -> bool:
            if settings.feed_topic not in await admin.list_topics():
                return False
            return holds_in_order(await values(settings), raws)

        await until(filled)
        await admin.close()


class Refusing:
    """Makes producers, the first of which refuses the fourth record, as a broker would."""

    def __init__(self) -> None:
        self.made: list[AIOKafkaProducer] = []
        self.sent = 0

    def __call__(self, settings: IssuerSettings) -> AIOKafkaProducer:
        producer = make_producer(settings)
        real = producer.send

        async def send(topic: str, value: bytes, partition: int, headers: object = None) -> object:
            self.sent += 1
            if self.sent != 4:
                return await real(topic, value, partition=partition, headers=headers)
            refused = asyncio.get_running_loop().create_future()
            refused.set_exception(MessageSizeTooLargeError())
            return refused

        producer.send = send
        self.made.append(producer)
        return producer


async def test_after_a_refusal_a_new_producer_sends_what_is_missing(
    store: Store, settings: IssuerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = Refusing()
    await commit(store, *(f"t{number}" for number in range(8)))
    await new_sequencer(store).settle()
    monkeypatch.setattr("ostraka_issuer.feed.writer.Publisher", partial(Publisher, make=refusing))
    async with FeedRole(store, KEY, settings) as role:
        await until(lambda: published(role))
    assert len(refusing.made) == 2
    assert holds_in_order(await values(settings), await stored(store))


async def test_stopping_in_the_middle_of_everything_leaves_nothing_behind(
    store: Store, settings: IssuerSettings
) -> None:
    before = asyncio.all_tasks()
    for number in range(40):
        role = FeedRole(store, KEY, settings)
        await role.start()
        await commit(store, *(f"t{number}-{i}" for i in range(20)))
        role.wake()
        for _ in range(number * 12):
            await asyncio.sleep(0)
        await role.stop()
        await until(lambda: asyncio.all_tasks() == before, "the end of every task")
    async with FeedRole(store, KEY, settings) as role:
        await role.position_of("t39-19", 30)
        await until(lambda: published(role))
    raws = await stored(store)
    check_chain(raws)
    assert holds_in_order(await values(settings), raws)
