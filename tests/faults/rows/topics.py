"""F16: the feed's topic is deleted, replaced by one with an old content, and given more partitions."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import TopicAlreadyExistsError

from ostraka_schemas.topics import FEED
from tests.faults.deciding import ACCEPTED
from tests.faults.proxy import FAIR, HALF_OPEN
from tests.faults.rows.base import Result, Row, Scale, judge
from tests.faults.rows.databases import read_topic
from tests.faults.rows.links import first_stale, said
from tests.faults.rows.records import stored
from tests.faults.scene import Scene, open_scene
from tests.faults.stage import ISSUER, Stage
from tests.faults.waiting import LOOK_EVERY, until
from tests.kafka.topics import create_topic, delete_topics

NOTICED_WITHIN = 60.0
RUBBISH = 1_000


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


async def replaced(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Somebody puts another topic in the place of the feed's while the issuer stands still: what there was before the
    last revocation, and so much rubbish that every offset that was read is there."""
    async with open_scene(
        stage, directory, verifiers=["v1", "v2"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "before", "meanwhile", "after")
        old = await read_topic(scene)
        await scene.revoke("before")
        await scene.refused_everywhere("before")
        with scene.fault() as window:
            scene.link(ISSUER).set(HALF_OPEN)
            await delete_topics(stage.broker.bootstrap, [scene.home.topic])
            await _make_another(scene, [*old, *(b"rubbish" for _ in range(RUBBISH))])
            scene.link(ISSUER).set(FAIR)
            await scene.revoke("meanwhile")
            healed = await scene.healed(within=120)
            stale = first_stale(scene, "v1", window.begin)
            # The issuer's connection held, so it has not looked: what is missing is missing. For a newcomer that is a
            # bus that withholds: it may believe the old content's heartbeats, for as long as heartbeats are believed.
            await scene.add_verifier("v3")
            await asyncio.sleep(scale.max_staleness + scale.of(2, 15))
            deceived = scene.accepted_for("before", "v3")
            waiting = scene.players["v3"].last.decisions["steady"]
            await scene.end_issuer()
            await scene.start_issuer()
            filled = await until_filled(scene)
            await scene.healed(within=60)
        for token in ("before", "meanwhile"):
            await scene.refused_everywhere(token)
        await scene.revoke("after")
        await scene.refused_everywhere("after")
        return judge(
            scene,
            f"refused for want of news after: {said(stale)}; all well {healed:.1f} s after it was replaced",
            f"a newcomer on Kafka alone accepted what was revoked until {deceived:.1f} s after that, and then nothing",
            f"the issuer started again: the topic whole {filled:.1f} s later, and the newcomer right",
            also=["a newcomer believed the old content for ever"] if waiting == ACCEPTED else [],
        )


async def _make_another(scene: Scene, values: Sequence[bytes]) -> None:
    """Make the topic as it has to be, as soon as the old one is gone, and fill it with these."""
    async with asyncio.timeout(NOTICED_WITHIN):
        while True:
            try:
                await create_topic(scene.stage.broker.bootstrap, scene.home.topic, configs=FEED.configs)
            except TopicAlreadyExistsError:
                await asyncio.sleep(LOOK_EVERY)
            else:
                break
    async with AIOKafkaProducer(bootstrap_servers=scene.stage.broker.bootstrap) as producer:
        for value in values:
            await producer.send(scene.home.topic, value, partition=0)


async def until_filled(scene: Scene) -> float:
    """Wait until the topic holds every record of the database; returns after how many seconds it did."""
    begin = time.monotonic()
    while missing := set(stored(scene)) - set(await read_topic(scene)):
        waited = time.monotonic() - begin
        assert waited < NOTICED_WITHIN, f"{len(missing)} records are missing in the topic; {scene.stage.words()}"
        await asyncio.sleep(LOOK_EVERY)
    return time.monotonic() - begin


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
    Row(
        "F16 replaced",
        "another topic in the place of the feed's: an old content, and rubbish up to where verifiers had read",
        replaced,
        short=False,
    ),
    Row("F16 partitions", "the feed's topic gets three partitions", more_partitions, short=False),
]
