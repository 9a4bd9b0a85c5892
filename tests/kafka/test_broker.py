"""The brokers themselves: what the other tests lean on."""

import asyncio
import os
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import InvalidConfigurationError, MessageSizeTooLargeError
from aiokafka.structs import TopicPartition

from ostraka_issuer.desk.embedded import EmbeddedBroker, EmbeddedBrokerError
from tests.kafka.broker import Broker, EmbeddedKafka
from tests.kafka.fixtures import FreshTopic, OwnKafka
from tests.kafka.jars import ensure_jars
from tests.kafka.probe import BrokerError
from tests.kafka.runner import ApacheKafka
from tests.kafka.topics import create_topic

LOG_APPEND_TIME = 1


async def read(bootstrap: str, topic: str, count: int, within: float = 20.0) -> list[bytes]:
    """The first so many values of partition 0, in order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=50)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        async with asyncio.timeout(within):
            return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def write(bootstrap: str, topic: str, values: list[bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_what_is_written_is_read_in_order(kafka: Broker, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic()
    values = [f"value {n}".encode() for n in range(20)]
    await write(kafka.bootstrap, topic, values)
    assert await read(kafka.bootstrap, topic, 20) == values


async def test_topics_of_one_test_do_not_meet(fresh_topic: FreshTopic, topic_prefix: str) -> None:
    one, other = await fresh_topic("a"), await fresh_topic("b")
    assert (one, other) == (f"{topic_prefix}.a", f"{topic_prefix}.b")


@pytest.mark.true_kafka
async def test_what_was_acknowledged_survives_a_crash(own_kafka: OwnKafka) -> None:
    broker = await own_kafka()
    address = broker.bootstrap
    await create_topic(address, "kept")
    await write(address, "kept", [b"before"])
    await broker.kill()
    await broker.restart()
    assert broker.bootstrap == address
    await write(address, "kept", [b"after"])
    assert await read(address, "kept", 2) == [b"before", b"after"]


@pytest.mark.true_kafka
async def test_a_frozen_broker_goes_on_where_it_was(own_kafka: OwnKafka) -> None:
    broker = await own_kafka()
    await create_topic(broker.bootstrap, "frozen")
    await broker.pause()
    writing = asyncio.create_task(write(broker.bootstrap, "frozen", [b"x"]))
    done, _ = await asyncio.wait([writing], timeout=0.5)
    assert not done
    await broker.resume()
    await asyncio.wait_for(writing, 30)
    assert await read(broker.bootstrap, "frozen", 1) == [b"x"]


@pytest.mark.true_kafka
async def test_the_broker_sets_the_time_where_the_topic_says_so(kafka: Broker, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic(configs={"message.timestamp.type": "LogAppendTime"})
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        written = await producer.send_and_wait(topic, b"x", timestamp_ms=1)
    assert written.timestamp_type == LOG_APPEND_TIME
    assert written.timestamp > 1


@pytest.mark.true_kafka
async def test_the_broker_refuses_what_is_too_large(kafka: Broker, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic(configs={"max.message.bytes": "2000"})
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        await producer.send_and_wait(topic, b"x" * 1_000)
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(topic, b"x" * 3_000)


@pytest.mark.true_kafka
async def test_the_broker_refuses_settings_that_make_no_sense(fresh_topic: FreshTopic) -> None:
    with pytest.raises(InvalidConfigurationError):
        await fresh_topic(configs={"retention.ms": "soon"})


@pytest.mark.true_kafka
async def test_extra_properties_win(own_kafka: OwnKafka) -> None:
    broker = await own_kafka({"log.message.timestamp.type": "LogAppendTime"})
    assert isinstance(broker, ApacheKafka)
    await create_topic(broker.bootstrap, "t")
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all") as producer:
        assert (await producer.send_and_wait("t", b"x")).timestamp_type == LOG_APPEND_TIME
    pid, directory = broker.pid, broker.directory
    assert pid is not None
    await broker.stop()
    assert gone(pid)
    assert not directory.exists()


@pytest.mark.true_kafka
async def test_a_broker_that_cannot_start_says_why(own_kafka: OwnKafka) -> None:
    with pytest.raises(BrokerError, match="cleanup"):
        await own_kafka({"log.cleanup.policy": "nonsense"})


def test_jars_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Path] = []

    def fetch(target: Path) -> None:
        fetched.append(target)
        target.mkdir()

    monkeypatch.setattr("tests.kafka.jars._fetch", fetch)
    first = ensure_jars(tmp_path / "cache")
    assert ensure_jars(tmp_path / "cache") == first
    assert first.is_dir()
    assert len(fetched) == 1


async def test_the_embedded_broker_comes_back_empty_at_its_address_and_leaves_no_process() -> None:
    broker = EmbeddedKafka()
    pids = []
    try:
        await broker.start()
        address = broker.bootstrap
        pids.append(broker.pid)
        await create_topic(address, "lost")
        await write(address, "lost", [b"x"])
        await broker.kill()
        assert broker.pid is None
        await broker.restart()
        pids.append(broker.pid)
        assert broker.bootstrap == address
        await create_topic(address, "lost")
        await write(address, "lost", [b"y"])
        assert await read(address, "lost", 1) == [b"y"]
    finally:
        await broker.stop()
    assert len(set(pids)) == 2
    assert all(pid is not None and gone(pid) for pid in pids)


async def test_the_embedded_broker_names_a_port_that_is_taken() -> None:
    broker = EmbeddedBroker()
    await broker.start()
    try:
        port = int(broker.bootstrap.rsplit(":", 1)[1])
        with pytest.raises(EmbeddedBrokerError, match=f"port {port} .* is taken"):
            await EmbeddedBroker(port).start()
        with pytest.raises(EmbeddedBrokerError, match="already runs"):
            await broker.start()
    finally:
        await broker.stop()
