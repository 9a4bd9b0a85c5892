"""F13: what a verifier had not read yet is deleted while it is away."""

import asyncio
import os
import signal
import time
from pathlib import Path

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from tests.faults.proxy import CUT, FAIR
from tests.faults.rows.base import Result, Row, Scale, judge
from tests.faults.rows.links import fresh_after, said
from tests.faults.scene import Scene, open_scene
from tests.faults.stage import Stage
from tests.faults.waiting import LOOK_EVERY

SNAPSHOT_WITHIN = 60.0
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
            deleted = await _delete(scene)
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


async def _delete(scene: Scene) -> int:
    """Delete everything that the feed's topic holds, as retention does; returns how many entries it were."""
    partition = TopicPartition(scene.home.topic, 0)
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


ROWS = [Row("F13", "all that verifiers missed while away is deleted from the topic", retention)]
