"""An outage in a service's log: one line when it begins, one when it is over; aiokafka's own lines are left out."""

import logging
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError

from ostraka_consumers import Verifier
from ostraka_consumers.sources import KafkaSource
from ostraka_consumers.sources._quiet import quiet_client
from ostraka_consumers.sources._refusal import name_of
from tests.consumers.sources.recording import BRISK, RecordingSink, eventually, running
from tests.kafka.fixtures import OwnKafka
from tests.kafka.topics import create_topic
from tests.support.fake_issuer import FakeIssuer

NOWHERE = "127.0.0.1:1"
LIBRARY = "aiokafka"


def lines(caplog: pytest.LogCaptureFixture, prefix: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith(prefix)]


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
async def test_a_source_that_finds_no_broker_is_quiet_unless_all_is_wanted(
    caplog: pytest.LogCaptureFixture, level: int
) -> None:
    caplog.set_level(level, logger="ostraka.sources.kafka")
    sink = RecordingSink()
    async with running(KafkaSource(NOWHERE, timing=BRISK), sink):
        await eventually(lambda: sink.states.count("connecting") > 3)
    assert f"waiting: no broker answers at {NOWHERE}" in sink.states
    assert bool(lines(caplog, LIBRARY)) is (level == logging.DEBUG)


async def test_other_clients_in_the_process_are_heard(caplog: pytest.LogCaptureFixture) -> None:
    with quiet_client():
        pass
    consumer = AIOKafkaConsumer(bootstrap_servers=NOWHERE)
    with pytest.raises(KafkaConnectionError):
        await consumer.start()
    await consumer.stop()
    assert lines(caplog, LIBRARY)


@pytest.mark.true_kafka
@pytest.mark.slow
async def test_an_outage_is_two_lines_however_long_it_lasts(
    own_kafka: OwnKafka, caplog: pytest.LogCaptureFixture
) -> None:
    broker, topic = await own_kafka(), "feed"
    await create_topic(broker.bootstrap, topic)
    caplog.set_level(logging.INFO)
    issuer = FakeIssuer()
    source = KafkaSource(broker.bootstrap, topic=topic, fetch_max_wait_ms=20, timing=replace(BRISK, silence_max=3.0))
    intake: Any = Verifier(issuer.anchor, audience="orders", sources=[source])._intakes["kafka"]
    away = f"waiting: no broker answers at {broker.bootstrap}"
    tries: list[str] = []
    report = intake.report

    def counted(state: str) -> None:
        tries.append(state)
        report(state)

    intake.report = counted
    async with running(source, intake):
        await eventually(lambda: intake.state == "reading")
        await broker.kill()
        await eventually(lambda: tries.count(away) > 4)
        assert lines(caplog, "ostraka.verifier").count(f"source kafka: {away}") == 1
        await broker.restart()
        await eventually(lambda: intake.state == "reading")
    assert lines(caplog, "ostraka.verifier")[-1] == "source kafka: reading"
    assert not lines(caplog, LIBRARY)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KafkaConnectionError("no answer"), "KafkaConnectionError: no answer"),
        (KafkaConnectionError(), "KafkaConnectionError"),
        (TopicAuthorizationFailedError("feed"), "TopicAuthorizationFailedError: feed"),
        (KeyError("x"), "KeyError: 'x'"),
        (ValueError(), "ValueError"),
    ],
)
def test_an_error_is_named_once(error: Exception, words: str) -> None:
    assert name_of(error) == words
