"""What all rows share: one Apache Kafka with a link for each of its clients, a zygote, and the hall."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from ostraka_issuer.desk.ports import LOCALHOST, find_free_port
from tests.faults.hall import Hall
from tests.faults.proxy import FAIR, Link
from tests.kafka.broker import MACHINE
from tests.kafka.cluster import KafkaCluster
from tests.kafka.probe import BrokerError, wait_until_ready
from tests.kafka.runner import ApacheKafka
from tests.kafka.settings import BASE
from tests.support.zygote import Zygote

PORT_ATTEMPTS = 3
READY_SECONDS = 30.0
ISSUER = "issuer"
VERIFIERS = ("v1", "v2", "v3", "v4", "v5", "v6")
"""Names of links; a verifier that follows another in its place has another name and the same link."""


@dataclass(frozen=True)
class Stage:
    """Ready for a scene."""

    broker: ApacheKafka | KafkaCluster
    links: dict[str, Link]
    zygote: Zygote
    hall: Hall

    def words(self) -> str:
        """What the broker said last, and whether it runs: for failures."""
        log = self.broker.directory / "kafka.log"
        last = log.read_text(errors="replace")[-2_000:] if log.exists() else "no log"
        return f"the broker {'runs' if self.broker.pid else 'has ended'}: {last}"

    def calm(self) -> None:
        """Make every link fair again."""
        for link in self.links.values():
            link.set(FAIR)


def missing() -> str | None:
    """Why there can be no stage here, if there cannot."""
    return MACHINE.maven()


@asynccontextmanager
async def open_stage() -> AsyncIterator[Stage]:
    """Start everything, and end it."""
    async with AsyncExitStack() as stack:
        links, broker = await _open_broker(stack)
        zygote = await stack.enter_async_context(Zygote())
        hall = await stack.enter_async_context(Hall())
        yield Stage(broker, links, zygote, hall)


async def _open_broker(stack: AsyncExitStack) -> tuple[dict[str, Link], ApacheKafka]:
    """A broker and its links. They need many ports, and any of them may be taken between the choice and the use."""
    for attempt in range(1, PORT_ATTEMPTS + 1):
        parts = AsyncExitStack()
        try:
            links, broker = await _try_broker(parts)
        except (OSError, BrokerError):
            await parts.aclose()
            if attempt == PORT_ATTEMPTS:
                raise
        else:
            stack.push_async_exit(parts.__aexit__)
            return links, broker
    raise AssertionError("unreachable")


async def _try_broker(parts: AsyncExitStack) -> tuple[dict[str, Link], ApacheKafka]:
    names = (ISSUER, *VERIFIERS)
    ports: set[int] = set()
    while len(ports) < 2 * len(names):
        ports.add(find_free_port())
    links = {name: Link(ports.pop(), ports.pop()) for name in names}
    for link in links.values():
        await link.start()
        parts.push_async_callback(link.stop)
    broker = ApacheKafka(_listeners(links))
    parts.push_async_callback(broker.stop)
    await broker.start()
    for link in links.values():
        await wait_until_ready(link.address, READY_SECONDS, lambda: None)
    return links, broker


def _listeners(links: dict[str, Link]) -> dict[str, str]:
    """A listener for each link, which advertises the link: else a client would go round it after its first question."""
    plain = f"PLAINTEXT://{LOCALHOST}:{{port}}"
    controller = f"CONTROLLER://{LOCALHOST}:{{controller_port}}"
    real = [f"{name.upper()}://{LOCALHOST}:{link.target_port}" for name, link in links.items()]
    advertised = [f"{name.upper()}://{link.address}" for name, link in links.items()]
    protocols = [f"{name.upper()}:PLAINTEXT" for name in links]
    return {
        "listeners": ",".join([plain, controller, *real]),
        "advertised.listeners": ",".join([plain, *advertised]),
        "listener.security.protocol.map": ",".join([BASE["listener.security.protocol.map"], *protocols]),
    }
