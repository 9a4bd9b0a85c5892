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
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import pytest
import pytest_asyncio

from tests.kafka.broker import REQUIRE_VARIABLE, Broker, Choice, choose_broker
from tests.kafka.probe import BrokerError
from tests.kafka.runner import ApacheKafka
from tests.kafka.topics import create_topic, delete_topics
from tests.support.noted import is_one_of_many, note, noted

_CHOICE = pytest.StashKey[Choice]()


class OwnKafka(Protocol):
    """Starts a broker for one test. ``extra``: further properties, which only Apache Kafka takes."""

    async def __call__(self, extra: Mapping[str, str] | None = None) -> Broker: ...


class FreshTopic(Protocol):
    """Creates a topic on the shared broker and returns its name."""

    async def __call__(
        self, name: str = "topic", *, partitions: int = 1, configs: Mapping[str, str] | None = None
    ) -> str: ...


def _choice(config: pytest.Config) -> Choice:
    if _CHOICE not in config.stash:
        choice = config.stash[_CHOICE] = choose_broker()
        if not choice.broker.true_kafka:
            note(config, "no true kafka", choice.reason)
    return config.stash[_CHOICE]


async def start_broker(broker: Broker, config: pytest.Config) -> None:
    """Starts it, and takes note for the summary that it ran."""
    await broker.start()
    note(config, "kafka", broker.kind)
    if broker.true_kafka:
        note(config, "true kafka", broker.kind)


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


def _required() -> bool:
    return os.environ.get(REQUIRE_VARIABLE, "") not in ("", "0")


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if is_one_of_many(config) or config.option.collectonly or not _required():
        return
    if not noted(config, "true kafka"):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for kind in noted(config, "kafka") or ["no test needed a broker"]:
        terminalreporter.write_line(f"kafka: {kind}")
    for reason in noted(config, "no true kafka"):
        terminalreporter.write_line(f"kafka: some tests were skipped: {reason}", yellow=True)
    if _required() and not noted(config, "true kafka"):
        terminalreporter.write_line(f"kafka: {REQUIRE_VARIABLE} is set and no test ran on Apache Kafka", red=True)


__all__ = ["BrokerError", "FreshTopic", "OwnKafka", "fresh_topic", "kafka", "own_kafka", "topic_prefix"]
