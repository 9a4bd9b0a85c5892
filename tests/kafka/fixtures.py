"""Fixtures that give tests a broker; loaded through ``pytest_plugins``.

==================  =======================================================================================
``kafka``           the broker that all tests share, started when the first test asks for it
``own_kafka``       makes brokers for this test alone, which it may kill: ``broker = await own_kafka()``
``topic_prefix``    a name that no other test has
``fresh_topic``     creates a topic on the shared broker: ``name = await fresh_topic("feed", partitions=1)``
``true_kafka``      (marker) skips the test, saying what is missing, where there is only the embedded broker
==================  =======================================================================================

The summary at the end names the broker that ran.
"""

import os
import re
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pytest
import pytest_asyncio

from tests.kafka.broker import REQUIRE_VARIABLE, Broker, Choice, choose_broker
from tests.kafka.probe import BrokerError
from tests.kafka.runner import ApacheKafka
from tests.kafka.topics import create_topic, delete_topics


@dataclass
class _Session:
    choice: Choice | None = None
    used: list[str] = field(default_factory=list)
    true_kafka_ran: bool = False

    def note(self, broker: Broker, seconds: float) -> None:
        self.true_kafka_ran = self.true_kafka_ran or broker.true_kafka
        self.used.append(f"{broker.kind}, ready after {seconds:.1f} s")


_SESSION = pytest.StashKey[_Session]()


class OwnKafka(Protocol):
    """Starts a broker for one test. ``extra``: further properties, which only Apache Kafka takes."""

    async def __call__(self, extra: Mapping[str, str] | None = None) -> Broker: ...


class FreshTopic(Protocol):
    """Creates a topic on the shared broker and returns its name."""

    async def __call__(
        self, name: str = "topic", *, partitions: int = 1, configs: Mapping[str, str] | None = None
    ) -> str: ...


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SESSION] = _Session()


def _choice(config: pytest.Config) -> Choice:
    session = config.stash[_SESSION]
    if session.choice is None:
        session.choice = choose_broker()
    return session.choice


async def start_broker(broker: Broker, config: pytest.Config) -> None:
    """Starts it, and remembers for the summary that it ran."""
    begin = time.monotonic()
    await broker.start()
    config.stash[_SESSION].note(broker, time.monotonic() - begin)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("true_kafka") is not None:
        choice = _choice(item.config)
        if not choice.broker.true_kafka:
            pytest.skip(choice.reason)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """The broker that all tests share. Do not kill it: see ``own_kafka``."""
    broker = _choice(request.config).broker
    await start_broker(broker, request.config)
    try:
        yield broker
    finally:
        await broker.stop()


@pytest_asyncio.fixture
async def own_kafka(request: pytest.FixtureRequest) -> AsyncIterator[OwnKafka]:
    """Makes brokers for this test alone, and stops them after it."""
    brokers: list[Broker] = []

    async def make(extra: Mapping[str, str] | None = None) -> Broker:
        broker = choose_broker(killable=True).broker
        if extra:
            if not isinstance(broker, ApacheKafka):
                pytest.skip(f"needs Apache Kafka from Maven, whose properties can be set; there is {broker.kind}")
            broker = ApacheKafka(extra)
        brokers.append(broker)
        await start_broker(broker, request.config)
        return broker

    try:
        yield make
    finally:
        for broker in brokers:
            await broker.stop()


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> str:
    """A name that no other test has, with the test's own name in it."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:60]
    return f"{words}-{uuid.uuid4().hex[:8]}"


@pytest_asyncio.fixture
async def fresh_topic(kafka: Broker, topic_prefix: str) -> AsyncIterator[FreshTopic]:
    """Creates topics on the shared broker with names of this test alone."""
    created: list[str] = []

    async def make(name: str = "topic", *, partitions: int = 1, configs: Mapping[str, str] | None = None) -> str:
        topic = f"{topic_prefix}.{name}"
        await create_topic(kafka.bootstrap, topic, partitions=partitions, configs=configs)
        created.append(topic)
        return topic

    yield make
    # A broker of ours is thrown away whole; somebody else's is left as it was.
    if created and not kafka.can_be_killed:
        await delete_topics(kafka.bootstrap, created)


def pytest_sessionfinish(session: pytest.Session) -> None:
    required = os.environ.get(REQUIRE_VARIABLE, "") not in ("", "0")
    if required and not session.config.option.collectonly and not session.config.stash[_SESSION].true_kafka_ran:
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    session = config.stash[_SESSION]
    for kind in dict.fromkeys(session.used):
        terminalreporter.write_line(f"kafka: {kind}")
    if not session.used:
        terminalreporter.write_line("kafka: no test needed a broker")
    if session.choice is not None and not session.choice.broker.true_kafka:
        terminalreporter.write_line(f"kafka: some tests were skipped: {session.choice.reason}", yellow=True)
    if os.environ.get(REQUIRE_VARIABLE, "") not in ("", "0") and not session.true_kafka_ran:
        terminalreporter.write_line(f"kafka: {REQUIRE_VARIABLE} is set and no test ran on Apache Kafka", red=True)


__all__ = ["BrokerError", "FreshTopic", "OwnKafka", "fresh_topic", "kafka", "own_kafka", "topic_prefix"]
