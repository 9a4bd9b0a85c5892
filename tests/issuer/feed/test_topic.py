import pytest
from aiokafka.errors import KafkaError

from ostraka_issuer.errors import TopicMismatch
from ostraka_issuer.feed.kafka import make_admin
from ostraka_issuer.feed.topic import ensure_topic, snapshots_topic
from ostraka_schemas.topics import FEED, SNAPSHOTS
from tests.issuer.feed.world import settings_for
from tests.kafka.broker import Broker, EmbeddedKafka
from tests.kafka.fixtures import FreshTopic
from tests.kafka.topics import create_topic


async def partitions_of(bootstrap: str, topic: str) -> int:
    admin = make_admin(settings_for(None, topic).model_copy(update={"kafka": bootstrap}))
    await admin.start()
    try:
        assert topic in await admin.list_topics()
        (description,) = await admin.describe_topics([topic])
        return len(description["partitions"])
    finally:
        await admin.close()


async def test_it_is_made_as_it_must_be_and_then_left_alone(kafka: Broker, topic_prefix: str) -> None:
    topic = f"{topic_prefix}.feed"
    await ensure_topic(settings_for(kafka, topic))
    assert await partitions_of(kafka.bootstrap, topic) == 1
    await ensure_topic(settings_for(kafka, topic))


async def test_the_topic_of_the_snapshots_goes_beside_it(kafka: Broker, topic_prefix: str) -> None:
    settings = settings_for(kafka, f"{topic_prefix}.feed")
    await ensure_topic(settings, snapshots_topic(settings))
    assert await partitions_of(kafka.bootstrap, f"{topic_prefix}.snapshots") == 1
    await ensure_topic(settings, snapshots_topic(settings))


@pytest.mark.true_kafka
async def test_each_topic_is_held_to_its_own_settings(kafka: Broker, fresh_topic: FreshTopic) -> None:
    feed, snapshots = await fresh_topic("feed", configs=SNAPSHOTS.configs), await fresh_topic("snapshots")
    with pytest.raises(TopicMismatch, match=r"retention\.ms is 900000, not 604800000"):
        await ensure_topic(settings_for(kafka, feed))
    settings = settings_for(kafka, feed)
    assert snapshots_topic(settings).name == snapshots
    with pytest.raises(TopicMismatch, match=r"retention\.ms is 604800000, not 900000"):
        await ensure_topic(settings, snapshots_topic(settings))


@pytest.mark.true_kafka
async def test_another_number_of_partitions_is_refused(kafka: Broker, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic("feed", partitions=3, configs=FEED.configs)
    with pytest.raises(TopicMismatch, match="it has 3 partitions, not 1"):
        await ensure_topic(settings_for(kafka, topic))


@pytest.mark.true_kafka
async def test_other_settings_are_refused_by_name(kafka: Broker, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic("feed", configs={**FEED.configs, "retention.ms": "5000", "cleanup.policy": "compact"})
    with pytest.raises(
        TopicMismatch, match=r"cleanup\.policy is compact.*retention\.ms is 5000, not 604800000.*delete it"
    ):
        await ensure_topic(settings_for(kafka, topic))


@pytest.mark.true_kafka
async def test_a_broker_that_cannot_make_it_is_an_error(kafka: Broker, topic_prefix: str) -> None:
    with pytest.raises(KafkaError):
        await ensure_topic(settings_for(kafka, f"{topic_prefix}.feed", replication_factor=5))


async def test_nobody_there_is_an_error() -> None:
    with pytest.raises(KafkaError):
        await ensure_topic(settings_for(None, "feed"))


async def test_on_the_embedded_broker_a_topic_that_a_client_remade_is_replaced() -> None:
    broker = EmbeddedKafka()
    await broker.start()
    try:
        await create_topic(broker.bootstrap, "feed", partitions=4)
        await ensure_topic(settings_for(broker, "feed"))
        assert await partitions_of(broker.bootstrap, "feed") == 1
    finally:
        await broker.stop()
