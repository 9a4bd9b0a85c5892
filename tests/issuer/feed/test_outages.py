"""The feed on brokers that are killed, frozen or forget everything."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka.errors import KafkaError

from ostraka_issuer.feed import FeedRole
from ostraka_issuer.feed.kafka import make_admin
from ostraka_issuer.feed.log import FeedLog
from ostraka_issuer.settings import IssuerSettings
from ostraka_issuer.store import Store
from ostraka_schemas.records import Position
from tests.issuer.feed.test_publishing import commit_and_place, published, values
from tests.issuer.feed.world import (
    KEY,
    check_chain,
    heartbeats_of,
    holds_in_order,
    settings_for,
    stored,
    until,
    writer_of,
)
from tests.kafka.broker import Broker, EmbeddedKafka
from tests.kafka.fixtures import OwnKafka


@pytest_asyncio.fixture
async def embedded() -> AsyncIterator[EmbeddedKafka]:
    broker = EmbeddedKafka()
    await broker.start()
    yield broker
    await broker.stop()


async def complete(store: Store, settings: IssuerSettings) -> bool:
    """Whether the topic holds the whole feed and a heartbeat for its head."""
    try:
        found = await values(settings)
    except (KafkaError, TimeoutError):
        return False
    head = await FeedLog(store).head()
    return holds_in_order(found, await stored(store)) and any(beat.head == head for beat in heartbeats_of(found))


@pytest.mark.true_kafka
@pytest.mark.slow
async def test_a_broker_that_is_killed_and_comes_back_delays_and_loses_nothing(
    store: Store, own_kafka: OwnKafka
) -> None:
    broker = await own_kafka()
    settings = settings_for(broker, "feed", heartbeat_interval=1)
    async with FeedRole(store, KEY, settings) as role:
        await commit_and_place(store, role, "a", "b")
        await until(lambda: published(role))
        await broker.kill()
        for number in range(5):
            await commit_and_place(store, role, f"away{number}")
        await until(lambda: not writer_of(role).publisher.is_connected, "notice of the outage")
        assert (await role.state()).unpublished == 5
        await broker.restart()
        await commit_and_place(store, role, "back")
        await until(lambda: published(role))
        await until(lambda: complete(store, settings))
        assert (await role.state()).refills == 0
    check_chain(await stored(store))


@pytest.mark.true_kafka
@pytest.mark.slow
async def test_a_broker_that_is_away_for_long_is_found_again(store: Store, own_kafka: OwnKafka) -> None:
    broker = await own_kafka()
    settings = settings_for(broker, "feed", heartbeat_interval=1)
    async with FeedRole(store, KEY, settings) as role:
        await commit_and_place(store, role, "a")
        await until(lambda: published(role))
        await broker.kill()
        await commit_and_place(store, role, "b")
        await until(
            lambda: writer_of(role).publisher.doing.startswith("waiting: no broker answers"), "a given up session"
        )
        await broker.restart()
        await until(lambda: complete(store, settings))
        assert (await role.state()).refills == 0


@pytest.mark.true_kafka
@pytest.mark.slow
async def test_a_broker_that_freezes_delays_and_loses_nothing(store: Store, own_kafka: OwnKafka) -> None:
    broker = await own_kafka()
    settings = settings_for(broker, "feed", heartbeat_interval=1)
    async with FeedRole(store, KEY, settings) as role:
        await commit_and_place(store, role, "a")
        await until(lambda: published(role))
        await broker.pause()
        await commit_and_place(store, role, "b")
        await until(lambda: writer_of(role).publisher.doing.startswith("waiting: "), "notice of the outage")
        await broker.resume()
        await until(lambda: complete(store, settings))


@pytest.mark.true_kafka
async def test_a_role_that_starts_before_its_broker_publishes_when_it_comes(store: Store, own_kafka: OwnKafka) -> None:
    broker: Broker = await own_kafka()
    await broker.kill()
    settings = settings_for(broker, "feed")
    async with FeedRole(store, KEY, settings) as role:
        await commit_and_place(store, role, "a")
        assert not (await role.state()).connected
        await broker.restart()
        await until(lambda: complete(store, settings))


@pytest.mark.parametrize("away", [False, True])
async def test_an_embedded_broker_that_forgot_everything_is_filled_again(
    store: Store, embedded: EmbeddedKafka, away: bool
) -> None:
    settings = settings_for(embedded, "feed", heartbeat_interval=1)
    async with FeedRole(store, KEY, settings) as role:
        for round_ in range(3):
            await commit_and_place(store, role, *(f"t{round_}-{number}" for number in range(30)))
            await until(lambda: published(role))
            await embedded.kill()
            if away:
                await until(lambda: writer_of(role).publisher.doing.startswith("waiting: "), "notice of the outage")
            await embedded.restart()
            await until(lambda: complete(store, settings))
        await until(lambda: published(role))
        assert (await role.state()).refills >= 3
        await until(lambda: FeedLog(store).published())
    assert await FeedLog(store).published() == Position(1, 90)
    assert len(check_chain(await stored(store))) == 90


async def test_a_verifier_that_remakes_the_embedded_topic_is_no_obstacle(store: Store, embedded: EmbeddedKafka) -> None:
    settings = settings_for(embedded, "feed", heartbeat_interval=1)

    async def meddle() -> None:
        while True:
            admin = make_admin(settings)
            try:
                await admin.start()
                while True:
                    await admin.describe_topics([settings.feed_topic])  # makes it, with four partitions
                    await asyncio.sleep(0.01)
            except (KafkaError, OSError):
                await asyncio.sleep(0.01)
            finally:
                await admin.close()

    async with FeedRole(store, KEY, settings) as role:
        await commit_and_place(store, role, "a", "b")
        await until(lambda: published(role))
        meddler = asyncio.create_task(meddle())
        await embedded.kill()
        await embedded.restart()
        await until(lambda: complete(store, settings))
        meddler.cancel()
        await asyncio.wait({meddler})


@pytest.mark.true_kafka
async def test_a_deleted_topic_comes_back_as_the_feed_needs_it_where_brokers_make_topics_by_themselves(
    store: Store, own_kafka: OwnKafka
) -> None:
    broker = await own_kafka({"auto.create.topics.enable": "true", "num.partitions": "3"})
    settings = settings_for(broker, "feed", heartbeat_interval=1)
    async with FeedRole(store, KEY, settings) as role:
        await commit_and_place(store, role, "a", "b")
        await until(lambda: published(role))
        admin = make_admin(settings)
        await admin.start()
        try:
            await admin.delete_topics([settings.feed_topic])
        finally:
            await admin.close()
        await commit_and_place(store, role, "c")
        await until(lambda: complete(store, settings))
        assert (await role.state()).alarms == ()
