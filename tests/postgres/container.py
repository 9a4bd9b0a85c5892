"""PostgreSQL in a container, for machines with a Docker daemon."""

from typing import Any

from ostraka_issuer.desk.ports import LOCALHOST, find_free_port
from tests.postgres.admin import wait_until_ready
from tests.postgres.errors import PostgresError

IMAGE = "postgres:17.6"
START_SECONDS = 120.0

_PORT = 5432


class ContainerPostgres:
    """What production runs, without its care for the disk."""

    def __init__(self) -> None:
        self.kind = f"PostgreSQL (container {IMAGE})"
        self._port = 0
        self._container: Any = None

    @property
    def url(self) -> str:
        """Known once started."""
        return f"postgresql://ostraka:ostraka@{LOCALHOST}:{self._port}/postgres"

    def start(self) -> None:
        """Pulls the image if need be, starts it and returns when the server answers."""
        from docker.errors import DockerException  # type: ignore[import-untyped]
        from testcontainers.core.container import DockerContainer

        self._port = find_free_port()
        container = DockerContainer(IMAGE).with_env("POSTGRES_USER", "ostraka").with_env("POSTGRES_PASSWORD", "ostraka")
        container = container.with_command("postgres -c fsync=off -c max_connections=300")
        # The library's own method cannot bind to one address of the machine.
        container.ports[f"{_PORT}/tcp"] = (LOCALHOST, self._port)  # type: ignore[assignment]
        self._container = container
        try:
            container.start()
            wait_until_ready(self.url, START_SECONDS, lambda: None)
        except (DockerException, PostgresError) as error:
            self.stop()
            raise PostgresError(f"{self.kind} did not start: {error}") from error

    def stop(self) -> None:
        """Removes the container and its data."""
        if self._container is not None:
            self._container.stop()
            self._container = None
