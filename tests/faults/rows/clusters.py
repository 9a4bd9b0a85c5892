"""F2 and F3: three brokers, of which the leader dies, too many die, or all forget what they had acknowledged."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ostraka_schemas.topics import FEED
from tests.faults.proxy import Link
from tests.faults.rows.base import Result, Row, Scale, judge, ms
from tests.faults.rows.databases import contents_given_twice
from tests.faults.rows.links import first_stale, said
from tests.faults.rows.records import stored
from tests.faults.rows.topics import until_filled
from tests.faults.scene import BOTH, KAFKA, Scene, open_scene
from tests.faults.stage import Stage
from tests.kafka.cluster import NODES, KafkaCluster, Partition

SETTLES_WITHIN = 60.0
NEEDS_BYTES = 3 * 512 * 1024 * 1024
ON_KAFKA = ("v1", "v2")
ALONE = 1
"""The node that decides alone who leads, where one does."""
LEADS, FOLLOWS = 2, 3


class Direct(Link):
    """No link at all: the way to every node of a cluster."""

    def __init__(self, cluster: KafkaCluster) -> None:
        super().__init__(0)
        self._cluster = cluster

    @property
    def address(self) -> str:
        """All of them."""
        return self._cluster.bootstrap


@asynccontextmanager
async def on_cluster(stage: Stage, cluster: KafkaCluster) -> AsyncIterator[Stage]:
    """The stage with this cluster in the place of its broker."""
    await cluster.start()
    try:
        yield replace(stage, broker=cluster, links={name: Direct(cluster) for name in stage.links})
    finally:
        await cluster.stop()


async def leader_killed(stage: Stage, directory: Path, scale: Scale) -> Result:
    """The leader dies; then two of three; then all, and what they had not yet written to their disks is gone."""
    cluster = KafkaCluster()
    async with (
        on_cluster(stage, cluster) as there,
        open_scene(
            there,
            directory,
            verifiers={**dict.fromkeys(ON_KAFKA, (KAFKA,)), "v3": BOTH},
            max_staleness=scale.max_staleness,
            heartbeat=scale.heartbeat,
            settings={"replication_factor": str(len(NODES))},
        ) as scene,
    ):
        victims = ("the leader dies", "two die", *(f"forgotten {number}" for number in range(3)))
        await scene.present("steady", *victims)
        await _in_sync(cluster, scene, len(NODES))
        figures = [await _without_leader(cluster, scene), await _below_minimum(cluster, scene, scale)]
        told, broken = await _forgotten(cluster, scene, victims[2:])
        return judge(scene, *figures, told, also=[*broken, *await contents_given_twice(scene)])


async def _without_leader(cluster: KafkaCluster, scene: Scene) -> str:
    begin, old = time.time(), await _in_sync(cluster, scene, len(NODES))
    with scene.fault():
        await cluster.nodes[old.leader].kill()
        assert await scene.revoke("the leader dies"), "a revocation needs no broker"
        await scene.refused_everywhere("the leader dies")
        took = scene.accepted_for("the leader dies", *ON_KAFKA)
        await scene.healed()
        stale = first_stale(scene, "v1", begin)
        await cluster.nodes[old.leader].restart()
        await _in_sync(cluster, scene, len(NODES))
    return f"leader killed: a revocation took {ms(took)} on Kafka alone; refused for want of news: {said(stale)}"


async def _below_minimum(cluster: KafkaCluster, scene: Scene, scale: Scale) -> str:
    """With one replica of three nothing is acknowledged."""
    leader = (await _in_sync(cluster, scene, len(NODES))).leader
    with scene.fault(*ON_KAFKA) as window:
        for number in set(NODES) - {leader}:
            await cluster.nodes[number].kill()
        assert await scene.revoke("two die"), "a revocation needs no broker"
        await scene.refused_everywhere("two die", "v3")
        await asyncio.sleep(scale.max_staleness + scale.of(1, 10))
        stale = first_stale(scene, "v1", window.begin)
        for number in set(NODES) - {leader}:
            await cluster.nodes[number].restart()
        healed = await scene.healed(within=60)
        await scene.refused_everywhere("two die")
        await _in_sync(cluster, scene, len(NODES))
    return (
        f"two of three killed: over HTTP a revocation took {ms(scene.accepted_for('two die', 'v3'))}; "
        f"on Kafka alone refused for want of news after {said(stale)}, well {healed:.1f} s after they were back"
    )


async def _forgotten(cluster: KafkaCluster, scene: Scene, victims: Sequence[str]) -> tuple[str, list[str]]:
    """All nodes lose their power, and with it what they had acknowledged."""
    sizes = {number: _log(cluster, number, scene).stat().st_size for number in NODES}
    with scene.fault():
        for victim in victims:
            assert await scene.revoke(victim)
            await scene.refused_everywhere(victim)
        await cluster.kill()
        for number, size in sizes.items():
            os.truncate(_log(cluster, number, scene), size)
        lost = min(_not_in_log(cluster, number, scene) for number in NODES)
        await cluster.restart()
        healed = await scene.healed(within=60)
        filled = await until_filled(scene)
        await _newcomer_knows(scene, "v4", victims)
    told = (
        f"all killed, and the last {lost} records of each disk gone: all well {healed:.1f} s after they were back, "
        f"the topic whole {filled:.1f} s later; a newcomer on Kafka alone refuses what was revoked in them"
    )
    return told, [] if lost >= len(victims) else ["nothing was lost: this row shows nothing"]


async def unclean_election(stage: Stage, directory: Path, scale: Scale) -> Result:
    """One of two replicas is behind, and has to lead: what only the other had acknowledged is thrown away."""
    unclean = {"unclean.leader.election.enable": "true", "min.insync.replicas": "1"}
    cluster = KafkaCluster(unclean, controllers=(ALONE,))
    async with (
        on_cluster(stage, cluster) as there,
        open_scene(
            there,
            directory,
            verifiers={},
            max_staleness=scale.max_staleness,
            heartbeat=scale.heartbeat,
            settings={"replication_factor": "2"},
            prepare=partial(_create_on, cluster),
        ) as scene,
    ):
        for name in ON_KAFKA:
            await scene.add_verifier(name)
        await scene.healed()
        victims = [f"in the lost tail {number}" for number in range(3)]
        await scene.present("steady", *victims, "after")
        await _in_sync(cluster, scene, 2)
        with scene.fault():
            await cluster.nodes[FOLLOWS].kill()
            await _in_sync(cluster, scene, 1)
            for victim in victims:
                assert await scene.revoke(victim)
                await scene.refused_everywhere(victim)
            await scene.healed()
            await cluster.nodes[LEADS].kill()
            lost = _not_in_log(cluster, FOLLOWS, scene)
            await cluster.nodes[FOLLOWS].restart()
            await _led_by(cluster, scene, FOLLOWS)
            healed = await scene.healed(within=60)
            filled = await until_filled(scene)
            await cluster.nodes[LEADS].restart()
            await _in_sync(cluster, scene, 2)
            await _newcomer_knows(scene, "v4", victims)
        await scene.revoke("after")
        await scene.refused_everywhere("after")
        broken = [] if lost >= len(victims) else ["nothing was lost: this row shows nothing"]
        return judge(
            scene,
            f"{lost} acknowledged records thrown away: all well {healed:.1f} s after the election, the topic whole "
            f"{filled:.1f} s later; whoever knew what was revoked in them knew it all the time, a newcomer learns it",
            also=[*broken, *await contents_given_twice(scene)],
        )


async def _create_on(cluster: KafkaCluster, topic: str) -> None:
    """Make the feed's topic as the issuer would, but on two nodes of which neither decides who leads."""
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    try:
        new = NewTopic(topic, -1, -1, replica_assignments={0: [LEADS, FOLLOWS]}, topic_configs=dict(FEED.configs))
        response = await admin.create_topics([new])
    finally:
        await admin.close()
    assert all(error[1] == 0 for error in response.topic_errors), response.topic_errors


async def _settled(cluster: KafkaCluster, scene: Scene, leader: int | None, in_sync: int | None) -> Partition:
    """Wait until the feed's topic has a leader, this one if any, and so many replicas in sync if that is said."""
    found: Partition | None = None
    async with asyncio.timeout(SETTLES_WITHIN):
        while True:
            found = await cluster.partition(scene.home.topic)
            led = found is not None and found.leader > 0 and leader in (None, found.leader)
            if found is not None and led and in_sync in (None, len(found.in_sync)):
                return found
            await asyncio.sleep(0.1)


async def _in_sync(cluster: KafkaCluster, scene: Scene, count: int) -> Partition:
    return await _settled(cluster, scene, None, count)


async def _led_by(cluster: KafkaCluster, scene: Scene, leader: int) -> Partition:
    return await _settled(cluster, scene, leader, None)


async def _newcomer_knows(scene: Scene, name: str, victims: Sequence[str]) -> None:
    await scene.add_verifier(name)
    await scene.healed(name)
    for victim in victims:
        await scene.refused_everywhere(victim, name)


def _log(cluster: KafkaCluster, number: int, scene: Scene) -> Path:
    """The file in which a node keeps the feed."""
    (log,) = (cluster.nodes[number].directory / "data" / f"{scene.home.topic}-0").glob("*.log")
    return log


def _not_in_log(cluster: KafkaCluster, number: int, scene: Scene) -> int:
    """How many records of the database are not on the disk of a node. It stores them as they are, not compressed."""
    held = _log(cluster, number, scene).read_bytes()
    return sum(raw not in held for raw in stored(scene))


def _memory_is_missing() -> str | None:
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    return None if available >= NEEDS_BYTES else f"three brokers need {NEEDS_BYTES / 2**30:.1f} GiB of memory"


ROWS = [
    Row(
        "F2",
        "three brokers: the leader is killed, then two of them, then all, and what they had acknowledged is gone",
        leader_killed,
        short=False,
        alone=True,
        missing=_memory_is_missing,
    ),
    Row(
        "F3",
        "an unclean leader election throws away what was acknowledged",
        unclean_election,
        short=False,
        alone=True,
        missing=_memory_is_missing,
    ),
]
