"""Which PostgreSQL the tests run on.

The first that can be had, in this order:

1. ``OSTRAKA_TEST_POSTGRES=postgresql://user:password@host/name``: a running server, whose user may make databases;
   tests that stop their server take the next one;
2. a container, if a Docker daemon answers;
3. the system's own programs, with the data in a temporary directory;

else tests that need one are skipped with the reason, or fail if ``OSTRAKA_REQUIRE_POSTGRES=1``.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tests.kafka.container import docker_is_missing
from tests.postgres.container import ContainerPostgres
from tests.postgres.errors import PostgresError
from tests.postgres.system import SystemPostgres, programs_are_missing

ADDRESS_VARIABLE = "OSTRAKA_TEST_POSTGRES"
REQUIRE_VARIABLE = "OSTRAKA_REQUIRE_POSTGRES"


class Server(Protocol):
    """A PostgreSQL server for tests."""

    kind: str
    """For people, such as "PostgreSQL 15.18 (system)"."""

    @property
    def url(self) -> str:
        """Of a database in which others can be made."""
        ...

    def start(self) -> None:
        """Starts it and returns when it answers; raises PostgresError."""
        ...

    def stop(self) -> None:
        """Ends it and leaves nothing behind."""
        ...


class ExternalPostgres:
    """A server that somebody else runs: databases are made in it and removed."""

    def __init__(self, url: str) -> None:
        self.kind = f"the server of {ADDRESS_VARIABLE}"
        self.url = url

    def start(self) -> None:
        """It runs."""

    def stop(self) -> None:
        """It stays."""


@dataclass(frozen=True)
class Probes:
    """What is missing on this machine for each kind of server; None where nothing is."""

    container: Callable[[], str | None]
    system: Callable[[], str | None]


MACHINE = Probes(container=docker_is_missing, system=programs_are_missing)


def choose_server(
    environment: Mapping[str, str] | None = None, probes: Probes = MACHINE, *, own: bool = False
) -> Server | str:
    """Chooses the first server that can be had, not started, or says why there is none.

    Args:
        environment: by default the process's own.
        own: the test will stop or freeze it, and sets it up: only the system's programs do.

    Raises:
        PostgresError: there is none, and one is required.
    """
    environment = os.environ if environment is None else environment
    address = environment.get(ADDRESS_VARIABLE, "").strip()
    if address and not own:
        return ExternalPostgres(address)
    missing = [f"{ADDRESS_VARIABLE} is not ours to stop" if address else f"{ADDRESS_VARIABLE} is not set"]
    if not own:
        why = probes.container()
        if why is None:
            return ContainerPostgres()
        missing.append(why)
    why = probes.system()
    if why is None:
        return SystemPostgres()
    reason = "needs PostgreSQL: " + "; ".join([*missing, why])
    if is_required(environment):
        raise PostgresError(f"{REQUIRE_VARIABLE} is set; {reason}")
    return reason


def is_required(environment: Mapping[str, str] | None = None) -> bool:
    """Whether tests that need a server must have one."""
    environment = os.environ if environment is None else environment
    return environment.get(REQUIRE_VARIABLE, "") not in ("", "0")
