"""Apache Kafka as three Java processes, each a broker and a controller: what production has, on one machine."""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from ostraka_issuer.desk.ports import LOCALHOST, find_free_port
from tests.kafka.jars import kafka_version
from tests.kafka.probe import BrokerError
from tests.kafka.runner import ApacheKafka, new_cluster_id

NODES = (1, 2, 3)
START_ATTEMPTS = 3
"""They must know each other's ports before they start, and any may be taken meanwhile."""
REPLICATED = {
    "min.insync.replicas": "2",
    # A follower that was killed leaves the set of the in-sync ones within a second, not within half a minute.
    "replica.lag.time.max.ms": "1000",
    "replica.fetch.wait.max.ms": "100",
}
"""As in production, with times that a test can wait for."""


class Partition(NamedTuple):
    """Who holds the one partition of a topic: ids of nodes; the leader is -1 while there is none."""

    leader: int
    in_sync: frozenset[int]


class KafkaCluster:
    """Three nodes that tolerate the loss of one; with two of them gone nothing can be written.

    Args:
        extra: further properties of every node, which win over those above.
        controllers: the nodes that are controllers too, and decide who leads. Where one does it alone, the others may
            be killed together and it still decides.
    """

    true_kafka = True
    can_be_killed = True

    def __init__(self, extra: Mapping[str, str] | None = None, *, controllers: Sequence[int] = NODES) -> None:
        self.kind = f"Apache Kafka {kafka_version()} (Maven), {len(NODES)} nodes"
        self.nodes: dict[int, ApacheKafka] = {}
        self._extra = dict(extra or {})
        self._controllers = tuple(controllers)

    @property
    def bootstrap(self) -> str:
        """The addresses of all nodes, separated by commas. Known once started."""
        return ",".join(node.bootstrap for node in self.nodes.values())

    @property
    def directory(self) -> Path:
        """The directory of the first node."""
        return self.nodes[NODES[0]].directory

    @property
    def pid(self) -> int | None:
        """The id of a process of a node that runs, or None."""
        return next((node.pid for node in self.nodes.values() if node.pid is not None), None)

    async def start(self) -> None:
        """Starts all nodes and returns when each is ready; raises BrokerError."""
        for attempt in range(1, START_ATTEMPTS + 1):
            self.nodes = self._new_nodes()
            try:
                await _all(*(node.start() for node in self.nodes.values()))
            except BaseException as error:
                await self.stop()
                if attempt == START_ATTEMPTS or not isinstance(error, BrokerError):
                    raise
            else:
                return

    async def kill(self) -> None:
        """Ends all nodes as a loss of power would, but for what is in the page cache."""
        await _all(*(node.kill() for node in self.nodes.values()))

    async def restart(self) -> None:
        """Starts all nodes again and returns when each is ready."""
        await _all(*(node.restart() for node in self.nodes.values()))

    async def pause(self) -> None:
        """Freezes all nodes: connections stay open and nothing answers."""
        await _all(*(node.pause() for node in self.nodes.values()))

    async def resume(self) -> None:
        """Lets paused nodes go on."""
        await _all(*(node.resume() for node in self.nodes.values()))

    async def stop(self) -> None:
        """Ends all nodes and leaves nothing behind."""
        await _all(*(node.stop() for node in self.nodes.values()))

    async def partition(self, topic: str) -> Partition | None:
        """Who holds the topic's one partition, as a node that runs says; ``None`` if none can say it now."""
        running = [node.bootstrap for node in self.nodes.values() if node.pid is not None]
        admin = AIOKafkaAdminClient(bootstrap_servers=running, request_timeout_ms=2_000)
        try:
            await admin.start()
            (part,) = next(one["partitions"] for one in await admin.describe_topics() if one["topic"] == topic)
        except (KafkaError, OSError, StopIteration):
            return None
        finally:
            with contextlib.suppress(KafkaError, OSError):
                await admin.close()
        return Partition(part["leader"], frozenset(part["isr"]))

    def _new_nodes(self) -> dict[int, ApacheKafka]:
        ports: set[int] = set()
        while len(ports) < len(self._controllers):
            ports.add(find_free_port())
        controllers = dict(zip(self._controllers, ports, strict=True))
        voters = ",".join(f"{number}@{LOCALHOST}:{port}" for number, port in controllers.items())
        cluster = new_cluster_id()
        return {
            number: ApacheKafka(
                {
                    "node.id": str(number),
                    **_role(controllers.get(number)),
                    "controller.quorum.voters": voters,
                    **REPLICATED,
                    **self._extra,
                },
                cluster=cluster,
            )
            for number in NODES
        }


def _role(controller_port: int | None) -> dict[str, str]:
    """The properties of a broker that is a controller at this port, or is none."""
    plain = f"PLAINTEXT://{LOCALHOST}:{{port}}"
    if controller_port is None:
        return {"process.roles": "broker", "listeners": plain}
    return {"listeners": f"{plain},CONTROLLER://{LOCALHOST}:{controller_port}"}


async def _all(*works: Coroutine[Any, Any, None]) -> None:
    """Run them all to their ends, and raise what the first of them raised."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
