"""What every source does for a verifier, whatever it follows."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from ostraka_consumers.errors import Revoked
from ostraka_consumers.trust.freshness import Freshness
from tests.consumers.sources.channels import Channel, HttpChannel, KafkaChannel, at_head, verifier_of
from tests.consumers.sources.recording import eventually
from tests.kafka.broker import Broker
from tests.kafka.fixtures import OwnKafka

KINDS = ["kafka", "http"]


@pytest_asyncio.fixture(params=KINDS)
async def channel(request: pytest.FixtureRequest, kafka: Broker, topic_prefix: str) -> AsyncIterator[Channel]:
    if request.param == "http":
        channel = HttpChannel()
        await channel.start()
        yield channel
        await channel.stop()
        return
    kafka_channel = KafkaChannel(kafka, f"{topic_prefix}.feed")
    await kafka_channel.create()
    yield kafka_channel


@pytest_asyncio.fixture(params=KINDS)
async def fragile(request: pytest.FixtureRequest, own_kafka: OwnKafka, topic_prefix: str) -> AsyncIterator[Channel]:
    """A channel that may be stopped and started."""
    if request.param == "http":
        channel = HttpChannel()
        await channel.start()
        yield channel
        await channel.stop()
        return
    broker = await own_kafka()
    if not broker.true_kafka:
        pytest.skip("the embedded broker forgets everything when it is stopped")
    kafka_channel = KafkaChannel(broker, f"{topic_prefix}.feed")
    await kafka_channel.create()
    yield kafka_channel


async def test_brings_a_verifier_to_the_head_and_keeps_it_there(channel: Channel) -> None:
    issuer = channel.issuer
    token = issuer.token()
    for number in range(20):
        issuer.cut_subject(f"user-{number}")
    await channel.publish()
    async with verifier_of(channel) as verifier:
        await at_head(verifier, issuer)
        assert verifier.status.freshness is Freshness.FRESH
        assert verifier.verify(token).subject == "alice"
        issuer.cut_subject("alice")
        await channel.publish()
        await at_head(verifier, issuer)
        with pytest.raises(Revoked):
            verifier.verify(token)
    assert verifier.status.alarms == ()


async def test_survives_a_restart_of_its_server(fragile: Channel) -> None:
    issuer = fragile.issuer
    await fragile.publish()
    async with verifier_of(fragile) as verifier:
        await at_head(verifier, issuer)
        await fragile.stop()
        issuer.cut_subject("alice")
        await fragile.start()
        await fragile.publish()
        await at_head(verifier, issuer)
    assert verifier.status.alarms == ()


async def test_heals_a_gap(channel: Channel) -> None:
    issuer = channel.issuer
    await channel.publish()
    async with verifier_of(channel) as verifier:
        await at_head(verifier, issuer)
        for name in ("alice", "bob", "carol"):
            issuer.cut_subject(name)
        await channel.publish(withheld=2)
        await eventually(lambda: verifier.status.freshness is Freshness.LAGGING)
        await channel.publish()
        await at_head(verifier, issuer)
        await eventually(lambda: verifier.status.freshness is Freshness.FRESH)


async def test_a_gap_that_lasts_is_closed_by_a_snapshot(channel: Channel) -> None:
    issuer = channel.issuer
    await channel.publish()
    async with verifier_of(channel) as verifier:
        await at_head(verifier, issuer)
        for name in ("alice", "bob", "carol"):
            issuer.cut_subject(name)
        await channel.publish(withheld=2)
        await channel.publish_snapshot()
        await at_head(verifier, issuer)
        assert verifier.status.counters["snapshots"] == 1
        await eventually(lambda: verifier.status.freshness is Freshness.FRESH)


async def test_uses_a_snapshot_where_the_beginning_is_gone(channel: Channel) -> None:
    issuer = channel.issuer
    token = issuer.token(sub="bob")
    for name in ("alice", "bob", "carol"):
        issuer.cut_subject(name)
    await channel.publish_snapshot()
    channel.forgotten = 4
    for number in range(5):
        issuer.cut_subject(f"user-{number}")
    await channel.publish()
    async with verifier_of(channel) as verifier:
        await at_head(verifier, issuer)
        assert verifier.status.counters["snapshots"] == 1
        with pytest.raises(Revoked):
            verifier.verify(token)
        issuer.cut_subject("dave")
        await channel.publish()
        await at_head(verifier, issuer)
    assert verifier.status.alarms == ()


async def test_comes_back_after_retention_has_passed_its_place(channel: Channel, tmp_path: Path) -> None:
    if isinstance(channel, KafkaChannel) and not channel.broker.true_kafka:
        pytest.skip("the embedded broker deletes no records")
    issuer = channel.issuer
    token = issuer.token(sub="bob")
    await channel.publish()
    async with verifier_of(channel, tmp_path) as verifier:
        await at_head(verifier, issuer)
        assert verifier.verify(token).subject == "bob"
    for name in ("alice", "bob"):
        issuer.cut_subject(name)
    await channel.publish()
    await channel.publish_snapshot()
    await channel.forget()
    issuer.cut_subject("carol")
    await channel.publish()
    async with verifier_of(channel, tmp_path) as verifier:
        await at_head(verifier, issuer)
        assert verifier.status.counters["snapshots"] == 1
        with pytest.raises(Revoked):
            verifier.verify(token)
    assert verifier.status.alarms == ()


async def test_an_old_snapshot_alone_makes_nobody_ready(channel: Channel) -> None:
    """Whoever holds back what came later holds back the heartbeats, too: nobody can vouch for the state."""
    issuer = channel.issuer
    issuer.cut_subject("alice")
    await channel.publish_snapshot()
    channel.forgotten = 3
    if isinstance(channel, HttpChannel):
        channel.server.roots = issuer.root_files()
    verifier = verifier_of(channel)
    starting = asyncio.create_task(verifier.start())
    try:
        await eventually(lambda: verifier.status.counters.get("snapshot", 0) > 0, lambda: str(verifier.status))
        assert not verifier.status.ready
        assert verifier.status.head is None
        await channel.publish()
        await at_head(verifier, issuer)
        await starting
    finally:
        starting.cancel()
        await asyncio.wait({starting})
        await verifier.stop()
