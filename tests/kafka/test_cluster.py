"""Three nodes of which one dies: what the rows about clusters lean on."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.kafka.broker import MACHINE
from tests.kafka.cluster import NODES, KafkaCluster, Partition
from tests.kafka.test_broker import read, write

pytestmark = [pytest.mark.true_kafka, pytest.mark.slow]

SETTLES_WITHIN = 60.0


async def settled(cluster: KafkaCluster, topic: str, in_sync: int) -> Partition:
    async with asyncio.timeout(SETTLES_WITHIN):
        while True:
            found = await cluster.partition(topic)
            if found is not None and found.leader in found.in_sync and len(found.in_sync) == in_sync:
                return found
            await asyncio.sleep(0.05)


async def test_what_was_acknowledged_outlives_its_leader() -> None:
    missing = MACHINE.maven()
    if missing is not None:
        pytest.skip(missing)
    cluster = KafkaCluster()
    try:
        await cluster.start()
        admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic("replicated", 1, len(NODES))])
        await admin.close()
        before = await settled(cluster, "replicated", len(NODES))
        await write(cluster.bootstrap, "replicated", [b"before"])
        await cluster.nodes[before.leader].kill()
        after = await settled(cluster, "replicated", len(NODES) - 1)
        assert after.leader != before.leader
        await write(cluster.bootstrap, "replicated", [b"after"])
        await cluster.nodes[before.leader].restart()
        await settled(cluster, "replicated", len(NODES))
        assert await read(cluster.bootstrap, "replicated", 2) == [b"before", b"after"]
    finally:
        await cluster.stop()
