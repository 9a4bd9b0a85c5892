"""A producer without a key writes to the feed's topic on a real broker: nothing changes, and everything is counted."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaProducer

from ostraka_consumers import Revoked, Verifier
from ostraka_consumers.clock import ManualClock
from ostraka_consumers.sources import KafkaSource
from ostraka_schemas.topics import FEED
from tests.kafka.broker import Broker
from tests.kafka.fixtures import FreshTopic
from tests.support.fake_issuer import FakeIssuer
from tests.support.rogue import forgeries

DEADLINE = 30.0


async def until(condition: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.01)
    assert condition(), what


def new_issuer() -> FakeIssuer:
    issuer = FakeIssuer(clock=ManualClock(wall=time.time()))
    issuer.open()
    return issuer


async def test_a_rogue_producer_changes_nothing_and_shows_in_the_counters(
    kafka: Broker, fresh_topic: FreshTopic
) -> None:
    topic = await fresh_topic("feed", configs=FEED.configs if kafka.true_kafka else None)
    issuer = new_issuer()
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=2_000_000)
    await producer.start()

    async def send(raw: bytes) -> None:
        await producer.send_and_wait(topic, raw, partition=0)

    small = [forgery for forgery in forgeries(issuer) if len(forgery.raw) <= 65_536]
    try:
        before_the_root = [f for f in small if f.name in ("plain JSON", "an access token", "unsigned")]
        for forgery in before_the_root:
            await send(forgery.raw)
        for raw in [*issuer.records, issuer.heartbeat()]:
            await send(raw)
        source = KafkaSource(kafka.bootstrap, topic=topic, fetch_max_wait_ms=20)
        verifier = Verifier(issuer.anchor, audience="orders", sources=[source], ready_timeout=DEADLINE)
        async with verifier:
            token, state = issuer.token(), verifier.status
            verifier.verify(token)
            random.Random(1).shuffle(small)
            for forgery in small:
                await send(forgery.raw)
            expected = Counter(state.counters) + Counter(forgery.counted_as for forgery in small)
            wanted = sum(expected.values())
            await until(lambda: sum(verifier.status.counters.values()) >= wanted, "all forgeries were read")
            after = verifier.status
            assert Counter(after.counters) == expected
            assert (after.head, after.keys, after.denied, after.cutoffs, after.narrowings) == (
                state.head,
                state.keys,
                state.denied,
                state.cutoffs,
                state.narrowings,
            )
            assert verifier.verify(token).allows("orders:create")
            assert set(after.alarms) <= {"clock"}
            # And the real feed goes on as if nothing had been there.
            await send(issuer.cut_subject("alice"))
            await until(lambda: verifier.status.cutoffs == 1, "the cut-off was applied")
            with pytest.raises(Revoked):
                verifier.verify(token)
    finally:
        await producer.stop()


async def test_reordered_and_repeated_records_lead_to_the_same_state(kafka: Broker, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic("feed")
    issuer = new_issuer()
    for number in range(60):
        issuer.revoke_token(issuer.new_id(), issuer.now + 300)
        issuer.cut_subject(f"user-{number}")
    shuffled = issuer.records[1:] * 2
    random.Random(7).shuffle(shuffled)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    try:
        for raw in [issuer.records[0], *shuffled, issuer.heartbeat()]:
            await producer.send(topic, raw, partition=0)
        await producer.flush()
    finally:
        await producer.stop()
    source = KafkaSource(kafka.bootstrap, topic=topic, fetch_max_wait_ms=20)
    async with Verifier(issuer.anchor, audience="orders", sources=[source], ready_timeout=DEADLINE) as verifier:
        status = verifier.status
        assert status.head == issuer.head
        assert (status.denied, status.cutoffs, status.alarms) == (60, 60, ())
