"""How a Kafka source authenticates, and what it refuses to be told."""

import copy
import ssl
from typing import Any

import pytest

from ostraka_consumers.errors import ConfigurationError, SourceError
from ostraka_consumers.sources import KafkaSecurity, KafkaSource
from tests.consumers.sources.recording import RecordingSink

CONTEXT = ssl.create_default_context()


@pytest.mark.parametrize(
    ("security", "protocol", "mechanism"),
    [
        (KafkaSecurity(CONTEXT), "SSL", None),
        (KafkaSecurity(CONTEXT, "user", "word"), "SASL_SSL", "SCRAM-SHA-512"),
        (KafkaSecurity(CONTEXT, "user", "word", "PLAIN"), "SASL_SSL", "PLAIN"),
        (KafkaSecurity(None, "user", "word", "SCRAM-SHA-256"), "SASL_PLAINTEXT", "SCRAM-SHA-256"),
    ],
)
def test_what_aiokafka_is_told(security: KafkaSecurity, protocol: str, mechanism: str | None) -> None:
    options = security.client_options()
    assert options["security_protocol"] == protocol
    assert options.get("sasl_mechanism") == mechanism
    assert options.get("ssl_context") is security.ssl_context
    assert options.get("sasl_plain_password") == security.password


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"username": "user"},
        {"ssl_context": CONTEXT, "password": "word"},
        {"username": "user", "password": "word", "mechanism": "PLAIN"},
    ],
)
def test_half_a_configuration_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        KafkaSecurity(**arguments)


def test_the_password_is_not_shown() -> None:
    security = KafkaSecurity(CONTEXT, "user", "h0rse-battery")
    source = KafkaSource("127.0.0.1:9092", security=security)
    assert "h0rse" not in f"{security!r} {security} {source!r} {copy.copy(security)!r}"


@pytest.mark.parametrize("bootstrap", ["", [], "localhost", "localhost:", ":9092", "a:1,b", ["a:1", "b:x"]])
def test_addresses_without_a_port_are_refused(bootstrap: str | list[str]) -> None:
    with pytest.raises(ConfigurationError):
        KafkaSource(bootstrap)


async def test_what_aiokafka_does_not_take_is_raised_at_once() -> None:
    security = KafkaSecurity(CONTEXT, "user", "word", "NO-SUCH-MECHANISM")  # type: ignore[arg-type]
    with pytest.raises(SourceError):
        await KafkaSource("127.0.0.1:9092", security=security).run(RecordingSink())
