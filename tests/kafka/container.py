"""Apache Kafka in a container, for machines with a Docker daemon."""

import asyncio
import functools
import subprocess
import sys
from typing import Any

from ostraka_issuer.desk.ports import LOCALHOST, find_free_port
from tests.kafka.jars import kafka_version
from tests.kafka.probe import BrokerError, wait_until_ready
from tests.kafka.settings import BASE

START_SECONDS = 120.0
DAEMON_SECONDS = 30

_CLIENT_PORT = 9092
_CONTROLLER_PORT = 9093


class ContainerKafka:
    """The same version and settings as the one from Maven, from the project's own image.

    The library's own Kafka containers start other vendors' images; this one is what production runs.
    """

    true_kafka = True
    can_be_killed = True

    def __init__(self) -> None:
        self.image = f"apache/kafka:{kafka_version()}"
        self.kind = f"Apache Kafka {kafka_version()} (container {self.image})"
        self._port = 0
        self._container: Any = None

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients. Known once started."""
        return f"{LOCALHOST}:{self._port}"

    async def start(self) -> None:
        """Pulls the image if need be, starts it and returns when the broker is ready."""
        from docker.errors import DockerException  # type: ignore[import-untyped]
        from testcontainers.core.container import DockerContainer

        self._port = find_free_port()
        container = DockerContainer(self.image)
        # The library's own method cannot bind to one address of the machine.
        container.ports[f"{_CLIENT_PORT}/tcp"] = (LOCALHOST, self._port)  # type: ignore[assignment]
        for key, value in self._properties().items():
            container.with_env("KAFKA_" + key.upper().replace(".", "_"), value)
        self._container = container
        try:
            await asyncio.to_thread(container.start)
            await self._ready()
        except (DockerException, BrokerError) as error:
            await self.stop()
            raise BrokerError(f"{self.kind} did not start: {error}") from error

    async def kill(self) -> None:
        """Kills the container's process; its data stays."""
        await asyncio.to_thread(self._wrapped().kill)

    async def restart(self) -> None:
        """Starts the container again with the same data and address."""
        await asyncio.to_thread(self._wrapped().restart, timeout=0)
        await self._ready()

    async def pause(self) -> None:
        """Freezes the container."""
        await asyncio.to_thread(self._wrapped().pause)

    async def resume(self) -> None:
        """Lets a frozen container go on."""
        await asyncio.to_thread(self._wrapped().unpause)

    async def stop(self) -> None:
        """Removes the container and its data."""
        if self._container is not None:
            await asyncio.to_thread(self._container.stop)
            self._container = None

    async def _ready(self) -> None:
        await wait_until_ready(self.bootstrap, START_SECONDS, lambda: None)

    def _wrapped(self) -> Any:
        if self._container is None:
            raise BrokerError(f"{self.kind} is not started")
        return self._container.get_wrapped_container()

    def _properties(self) -> dict[str, str]:
        listeners = f"PLAINTEXT://:{_CLIENT_PORT},CONTROLLER://:{_CONTROLLER_PORT}"
        return {
            **BASE,
            "listeners": listeners,
            "advertised.listeners": f"PLAINTEXT://{LOCALHOST}:{self._port}",
            "controller.quorum.voters": f"1@localhost:{_CONTROLLER_PORT}",
        }


@functools.cache
def docker_is_missing() -> str | None:
    """Asks the daemon, not for the command: a client without a daemon is common. None if it answers."""
    # In a process of its own: the library leaves a socket open where no daemon listens.
    question = "import docker; docker.from_env(timeout=5).ping()"
    try:
        done = subprocess.run(
            [sys.executable, "-c", question], capture_output=True, text=True, timeout=DAEMON_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"the Docker daemon did not answer within {DAEMON_SECONDS} s"
    return None if done.returncode == 0 else "no Docker daemon answers"
