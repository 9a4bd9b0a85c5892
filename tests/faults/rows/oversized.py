"""F11: records far larger than any of ours, in a topic that somebody has made to take them."""

import asyncio
import time
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from ostraka_consumers.limits import SOURCE_FRAME_BYTES
from ostraka_schemas.limits import RECORD_MAX_BYTES
from ostraka_schemas.topics import FEED
from tests.faults.history import memory_growth
from tests.faults.rows.base import Result, Row, Scale, judge, ms
from tests.faults.rows.links import first_stale, said
from tests.faults.rows.records import MEMORY_MAX
from tests.faults.scene import BOTH, KAFKA, Scene, open_scene
from tests.faults.stage import Stage
from tests.faults.waiting import until
from tests.kafka.topics import delete_topics

LARGEST = 100_000_000
"""A broker takes no request of more than 100 MiB."""
SEND_MS = 60_000


async def oversized(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Larger than a record may be, and counted; then larger than any answer may be, and not read at all."""
    read, unread = [RECORD_MAX_BYTES + 1, 1_000_000], [SOURCE_FRAME_BYTES + 1, *([LARGEST] if scale.whole else [])]
    channels = {"v1": (KAFKA,), "v2": BOTH}
    async with open_scene(
        stage, directory, verifiers=channels, max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "after those that are read", "meanwhile", "after")
        await _allow(scene, LARGEST)
        since, figures = time.time(), []
        before = {name: player.last.refused for name, player in scene.players.items()}
        for size in read:
            await _send(scene, size)
        counted = await until(
            lambda: all(p.last.refused >= before[name] + len(read) for name, p in scene.players.items()),
            lambda: f"counted: {[dict(p.last.counters) for p in scene.players.values()]}",
        )
        await scene.revoke("after those that are read")
        await scene.refused_everywhere("after those that are read")
        figures.append(f"{_sizes(read)}: refused, and counted {counted:.1f} s later")
        with scene.fault("v1") as window:
            for size in unread:
                await _send(scene, size)
            await scene.revoke("meanwhile")
            await scene.refused_everywhere("meanwhile", "v2")
            took = scene.accepted_for("meanwhile", "v2")
            await asyncio.sleep(scale.max_staleness + scale.of(1, 15))
            stale = first_stale(scene, "v1", window.begin)
            await delete_topics(stage.broker.bootstrap, [scene.home.topic])
            healed = await scene.healed(within=60)
        await scene.revoke("after")
        await scene.refused_everywhere("after")
        growth = max(memory_growth(player.seat.history, since) for player in scene.players.values())
        return judge(
            scene,
            *figures,
            f"{_sizes(unread)}, which bar the way to what follows: with HTTP beside it a revocation took {ms(took)}; "
            f"on Kafka alone refused for want of news after {said(stale)}",
            f"topic deleted: all well {healed:.1f} s later",
            f"{growth / 1024 / 1024:.0f} MB more memory",
            also=[f"memory grew by {growth:,} bytes"] if growth > MEMORY_MAX else [],
        )


def _sizes(sizes: list[int]) -> str:
    return " and ".join(f"{size:,} bytes" for size in sizes)


async def _allow(scene: Scene, size: int) -> None:
    """Make the feed's topic take records of this size; it stays as it is otherwise."""
    configs = {**FEED.configs, "max.message.bytes": str(2 * size)}
    admin = AIOKafkaAdminClient(bootstrap_servers=scene.stage.broker.bootstrap)
    await admin.start()
    try:
        (answer,) = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, scene.home.topic, configs)])
    finally:
        await admin.close()
    assert all(resource[0] == 0 for resource in answer.resources), answer


async def _send(scene: Scene, size: int) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=scene.stage.broker.bootstrap,
        max_request_size=2 * size,
        max_batch_size=2 * size,
        request_timeout_ms=SEND_MS,
    ) as producer:
        await producer.send_and_wait(scene.home.topic, b"A" * size, partition=0)


ROWS = [
    Row(
        "F11",
        "records of 64 KiB and a byte, 1 MB and 100 MB, in a topic that somebody has made to take them",
        oversized,
        short=False,
    )
]
