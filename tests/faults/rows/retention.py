"""F13 and F15: what a verifier had not read yet is deleted while it is away; somebody wipes the snapshots too."""

import asyncio
import os
import signal
import time
from pathlib import Path

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from ostraka_schemas.topics import snapshots_topic
from tests.faults.history import ready_at
from tests.faults.proxy import CUT, FAIR
from tests.faults.rows.base import Result, Row, Scale, judge
from tests.faults.rows.links import fresh_after, said
from tests.faults.scene import BOTH, Scene, open_scene
from tests.faults.stage import Stage
from tests.faults.waiting import LOOK_EVERY, until

SNAPSHOT_WITHIN = 60.0
WIPE_EVERY = 0.1
RIGHT_WITHIN = 2.0
"""Seconds after its return, and a heartbeat, in which a verifier must be right again."""


async def retention(stage: Stage, directory: Path, scale: Scale) -> Result:
    """One verifier is stopped, one cut off; everything that they missed is deleted; a third one starts only then."""
    async with open_scene(
        stage, directory, verifiers=["v1", "v2", "v3"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        victims = [f"missed-{number}" for number in range(int(scale.of(5, 40)))]
        await scene.present("steady", *victims)
        with scene.fault():
            scene.link("v1").set(CUT)
            os.kill(scene.players["v2"].pid, signal.SIGSTOP)
            for victim in victims:
                await scene.revoke(victim)
            # A snapshot is made at every start.
            await scene.end_issuer()
            await scene.start_issuer()
            position = f"{scene.head()[0]}:{scene.head()[1]}"
            await _published(scene, position)
            deleted = await _delete(scene, scene.home.topic)
            back = time.time()
            os.kill(scene.players["v2"].pid, signal.SIGCONT)
            scene.link("v1").set(FAIR)
            await scene.add_verifier("v4")
            await scene.healed(within=60)
        for victim in victims:
            await scene.refused_everywhere(victim)
        after = {name: fresh_after(scene, name, back) for name in ("v1", "v2", "v4")}
        # Nothing that vouches for the snapshot is left either: the next heartbeat has to.
        bound = RIGHT_WITHIN + scale.heartbeat
        slow = [f"{name} was right only after {said(s)}" for name, s in after.items() if s is None or s > bound]
        return judge(
            scene,
            f"{deleted} entries deleted, {len(victims)} revocations among them",
            f"right again: the one cut off after {said(after['v1'])}, the one stopped after {said(after['v2'])}",
            f"the one that started then: {said(after['v4'])}",
            also=slow if scale.whole else [],
        )


async def _published(scene: Scene, position: str) -> None:
    """Wait until the topic of the snapshots has one of this position."""
    published: str | None = None
    async with asyncio.timeout(SNAPSHOT_WITHIN), httpx.AsyncClient(base_url=scene.home.url, trust_env=False) as client:
        while published != position:
            published = (await client.get("/readyz")).json()["snapshots"]["published"]
            await asyncio.sleep(LOOK_EVERY)


async def _delete(scene: Scene, topic: str) -> int:
    """Delete everything that a topic holds, as retention does; returns how many entries it were."""
    partition = TopicPartition(topic, 0)
    bootstrap = scene.stage.broker.bootstrap
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        end: int = (await consumer.end_offsets([partition]))[partition]
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_records({partition: RecordsToDelete(before_offset=end)})
    finally:
        await admin.close()
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        begin: int = (await consumer.beginning_offsets([partition]))[partition]
    assert begin >= end, f"deleted up to {begin}, not {end}"
    return end


async def wiped_snapshots(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Nothing older is left of the feed, and somebody wipes the snapshots and writes rubbish in their place.

    A newcomer on Kafka alone has nothing to start from, and accepts nothing; with HTTP beside it nothing is wrong.
    """
    async with open_scene(
        stage, directory, verifiers=["v1"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "before")
        await scene.revoke("before")
        await scene.refused_everywhere("before")
        await _delete(scene, scene.home.topic)
        wiped: list[int] = []
        wiping = asyncio.create_task(_wipe(scene, snapshots_topic(scene.home.topic), wiped))
        try:
            await until(lambda: bool(wiped), lambda: "wiped once", SNAPSHOT_WITHIN)
            begin = time.time()
            both, alone = await scene.add_verifier("v2", BOTH), await scene.add_verifier("v3")
            await scene.healed("v1", "v2")
            ready = ready_at(both.seat.history) - begin
            await scene.refused_everywhere("before", "v1", "v2")
            await asyncio.sleep(scale.of(3, 40))
        finally:
            wiping.cancel()
            await asyncio.gather(wiping, return_exceptions=True)
        wrong = [] if not alone.last.ready else ["ready without the history or a snapshot"]
        with scene.fault():
            # A snapshot is made at every start.
            await scene.end_issuer()
            await scene.start_issuer()
            healed = await scene.healed(within=90)
        await scene.refused_everywhere("before")
        return judge(
            scene,
            f"wiped {len(wiped)} times: with HTTP beside it ready after {ready:.1f} s, on Kafka alone never",
            f"a newer snapshot: all well {healed:.1f} s later",
            also=wrong,
        )


async def _wipe(scene: Scene, topic: str, wiped: list[int]) -> None:
    """Write tombstones and rubbish to a topic, and delete all that it holds, until cancelled."""
    keys = [b"snapshot", None]
    async with AIOKafkaProducer(bootstrap_servers=scene.stage.broker.bootstrap) as producer:
        while True:
            for key in keys:
                await producer.send_and_wait(topic, None if key else b"A" * 1_000, key=key, partition=0)
            wiped.append(await _delete(scene, topic))
            await asyncio.sleep(WIPE_EVERY)


ROWS = [
    Row("F13", "all that verifiers missed while away is deleted from the topic", retention),
    Row(
        "F15", "the feed's history is gone, and somebody wipes the snapshots and writes rubbish there", wiped_snapshots
    ),
]
