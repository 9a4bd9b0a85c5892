"""F16: the feed's topic is deleted, and given more partitions."""

import asyncio
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from tests.faults.rows.base import Result, Row, Scale, judge
from tests.faults.rows.links import first_stale, said
from tests.faults.scene import Scene, open_scene
from tests.faults.stage import Stage
from tests.faults.waiting import until
from tests.kafka.topics import delete_topics

NOTICED_WITHIN = 60.0


async def deleted(stage: Stage, directory: Path, scale: Scale) -> Result:
    """The topic is deleted: the issuer makes it again and fills it, and nobody forgets anything."""
    async with open_scene(
        stage, directory, verifiers=["v1", "v2"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "before", "meanwhile", "after")
        await scene.revoke("before")
        await scene.refused_everywhere("before")
        with scene.fault():
            await delete_topics(stage.broker.bootstrap, [scene.home.topic])
            await scene.revoke("meanwhile")
            healed = await scene.healed(within=60)
        await scene.refused_everywhere("meanwhile")
        await scene.revoke("after")
        await scene.refused_everywhere("after")
        return judge(scene, f"made again and filled, all well {healed:.1f} s after it was deleted")


async def more_partitions(stage: Stage, directory: Path, scale: Scale) -> Result:
    """The topic gets three partitions: verifiers say so and stop believing; deleting it heals."""
    async with open_scene(
        stage, directory, verifiers=["v1", "v2"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "meanwhile")
        with scene.fault() as window:
            await _add_partitions(scene, 3)
            noticed = await until(lambda: _all_say(scene, "3 partitions"), lambda: "noticed", NOTICED_WITHIN)
            await scene.revoke("meanwhile")
            await asyncio.sleep(scale.max_staleness)
            stale = first_stale(scene, "v1", window.begin)
            await delete_topics(stage.broker.bootstrap, [scene.home.topic])
            healed = await scene.healed(within=60)
        await scene.refused_everywhere("meanwhile")
        return judge(
            scene,
            f"said by all verifiers after {noticed:.1f} s, refused for want of news after {said(stale)}",
            f"deleted: made again and filled, all well {healed:.1f} s later",
        )


async def _add_partitions(scene: Scene, count: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=scene.stage.broker.bootstrap)
    await admin.start()
    try:
        await admin.create_partitions({scene.home.topic: NewPartitions(count)})
    finally:
        await admin.close()


def _all_say(scene: Scene, words: str) -> bool:
    return all(words in player.last.sources["kafka"] for player in scene.players.values())


ROWS = [
    Row("F16 deleted", "the feed's topic is deleted", deleted),
    Row("F16 partitions", "the feed's topic gets three partitions", more_partitions, short=False),
]
