"""The order in which a broker is chosen, with probes that answer as told."""

import pytest

from tests.kafka.broker import Broker, EmbeddedKafka, ExternalKafka, Probes, choose_broker
from tests.kafka.container import ContainerKafka
from tests.kafka.probe import BrokerError
from tests.kafka.runner import ApacheKafka


def machine(*, container: bool = False, maven: bool = False, embedded: bool = True) -> Probes:
    return Probes(
        container=lambda: None if container else "no Docker daemon answers",
        maven=lambda: None if maven else "Java is not installed",
        embedded=lambda: None if embedded else "no embedded broker",
    )


ADDRESS = {"OSTRAKA_TEST_KAFKA": "broker.example:9092"}
REQUIRED = {"OSTRAKA_REQUIRE_TRUE_KAFKA": "1"}


@pytest.mark.parametrize(
    ("environment", "probes", "killable", "expected"),
    [
        (ADDRESS, machine(container=True, maven=True), False, ExternalKafka),
        (ADDRESS, machine(container=True, maven=True), True, ContainerKafka),
        ({}, machine(container=True, maven=True), False, ContainerKafka),
        ({"OSTRAKA_TEST_KAFKA": " "}, machine(maven=True), False, ApacheKafka),
        ({}, machine(maven=True), False, ApacheKafka),
        (REQUIRED, machine(maven=True), False, ApacheKafka),
        ({}, machine(), False, EmbeddedKafka),
        ({"OSTRAKA_REQUIRE_TRUE_KAFKA": "0"}, machine(), True, EmbeddedKafka),
    ],
)
def test_takes_the_first_that_can_be_had(
    environment: dict[str, str], probes: Probes, killable: bool, expected: type[Broker]
) -> None:
    assert type(choose_broker(environment, probes, killable=killable).broker) is expected


def test_the_address_is_used_as_given() -> None:
    broker = choose_broker(ADDRESS, machine()).broker
    assert broker.bootstrap == "broker.example:9092"
    assert broker.true_kafka
    assert not broker.can_be_killed


def test_the_reason_names_everything_that_is_missing() -> None:
    choice = choose_broker({}, machine())
    assert choice.reason == (
        "needs Apache Kafka: OSTRAKA_TEST_KAFKA is not set; no Docker daemon answers; Java is not installed"
    )


def test_required_kafka_never_becomes_something_weaker() -> None:
    with pytest.raises(BrokerError, match=r"OSTRAKA_REQUIRE_TRUE_KAFKA is set, but there is no Apache Kafka.*Java"):
        choose_broker(REQUIRED, machine())


def test_nothing_at_all_is_an_error() -> None:
    with pytest.raises(BrokerError, match=r"no broker can be had.*no embedded broker"):
        choose_broker({}, machine(embedded=False))


@pytest.mark.parametrize("action", ["kill", "restart", "pause", "resume"])
async def test_somebody_elses_broker_is_left_alone(action: str) -> None:
    with pytest.raises(BrokerError, match="not ours"):
        await getattr(ExternalKafka("broker.example:9092"), action)()
