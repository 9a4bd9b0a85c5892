"""F9: the feed comes twice, ten times, in another order, and all of it again."""

import asyncio
import random
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.faults.history import FRESH
from tests.faults.rows.base import Result, Row, Scale, judge
from tests.faults.rows.records import stored
from tests.faults.scene import Scene, open_scene
from tests.faults.stage import Stage
from tests.faults.waiting import until
from tests.kafka.topics import create_topic
from tests.support.stack import PASSWORD

COPIES = 10
AT_ONCE = 20
WINDOWS = {"v2": 1, "v3": 50, "v4": 1_000, "v5": 5_000}
"""By verifier: within how many records the order is any. What a verifier holds back is some 1,000."""


def disordered(records: Sequence[bytes], window: int, chance: random.Random) -> list[bytes]:
    """Each stretch of so many records in any order; if that leaves none, each of them ``COPIES`` times instead."""
    if window == 1:
        return [record for record in records for _ in range(COPIES)]
    stretches = [list(records[begin : begin + window]) for begin in range(0, len(records), window)]
    for stretch in stretches:
        chance.shuffle(stretch)
    return [record for stretch in stretches for record in stretch]


async def out_of_order(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Verifiers whose topics hold the same records in other orders come to the same state, and stay there."""
    chance = random.Random(9)
    async with open_scene(
        stage, directory, verifiers=["v1"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "first", "last", "after")
        await scene.revoke("first")
        await _revoke_many(scene, int(scale.of(150, 3_000)))
        await scene.revoke("last")
        records = stored(scene)
        topics = {name: f"order-{window}-{uuid.uuid4().hex[:12]}" for name, window in WINDOWS.items()}
        for name, topic in topics.items():
            await create_topic(stage.broker.bootstrap, topic)
            await _send(scene, topic, disordered(records, WINDOWS[name], chance))
        relaying = asyncio.create_task(_relay(scene, list(topics.values())))
        try:
            with scene.fault():
                took = await _all_arrive(scene, topics)
                for name, topic in topics.items():
                    again = sum(scene.players[name].last.counters.values())
                    await _send(scene, topic, [*reversed(records), *disordered(records, 10, chance)])
                    await _until_counted(scene, name, again + 2 * len(records))
                await scene.healed()
            for token in ("first", "last"):
                await scene.refused_everywhere(token)
            await scene.revoke("after")
            await scene.refused_everywhere("after")
        finally:
            relaying.cancel()
            await asyncio.gather(relaying, return_exceptions=True)
        words = {1: f"each {COPIES} times"}
        each = (
            f"{words.get(WINDOWS[name], f'any order within {WINDOWS[name]:,}')}: {took[name]:.1f} s" for name in took
        )
        return judge(
            scene,
            f"{len(records):,} records; until right and fresh: {', '.join(each)}",
            "all of it again, backwards and in any order: nothing changed",
        )


def _words(window: int) -> str:
    return f"each {COPIES} times" if window == 1 else f"any order within {window:,}"


async def _revoke_many(scene: Scene, count: int) -> None:
    """Put so many tokens on the deny list that nobody has."""
    operator = (await scene.client.login("operator", PASSWORD)).access_token
    turn = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with turn:
            await scene.client.revoke(operator, {"kind": "token", "jti": uuid.uuid4().hex, "reason": "test"})

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(one())


async def _all_arrive(scene: Scene, topics: dict[str, str]) -> dict[str, float]:
    """Start a verifier on each topic; returns how many seconds each took to be right and fresh."""
    begin, head = time.time(), scene.head()
    for name, topic in topics.items():
        await scene.add_verifier(name, topic=topic)
    await scene.healed(*topics, within=120)
    return {
        name: next(m.at for m in scene.players[name].seat.history if m.freshness == FRESH and m.head == head) - begin
        for name in topics
    }


async def _until_counted(scene: Scene, name: str, count: int) -> None:
    """Wait until a verifier has taken so many records and heartbeats."""
    player = scene.players[name]
    await until(lambda: sum(player.last.counters.values()) >= count, lambda: f"{count}: {dict(player.last.counters)}")


async def _send(scene: Scene, topic: str, values: Sequence[bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=scene.stage.broker.bootstrap) as producer:
        for value in values:
            await producer.send(topic, value, partition=0)


async def _relay(scene: Scene, topics: Sequence[str]) -> None:
    """Copy what comes from now on, in its order, until cancelled."""
    bootstrap = scene.stage.broker.bootstrap
    async with (
        AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer,
        AIOKafkaProducer(bootstrap_servers=bootstrap) as producer,
    ):
        partition = TopicPartition(scene.home.topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_end(partition)
        async for found in consumer:
            for topic in topics:
                await producer.send_and_wait(topic, found.value, partition=0)


ROWS = [Row("F9", "the feed ten times over, in any order, and all of it again", out_of_order, short=False)]
