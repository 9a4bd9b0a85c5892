"""How the issuer and the commands are told to authenticate to Kafka, and what they say if they cannot."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from ostraka_consumers.sources._aiokafka import safe_stop
from ostraka_issuer.errors import SetupError
from ostraka_issuer.feed.kafka import make_admin, make_consumer, make_producer
from ostraka_issuer.runtime import open_issuer
from ostraka_issuer.settings import IssuerSettings, load_kafka_access, load_settings
from tests.issuer.world import World
from tests.kafka.secured import Certificates, make_certificates

SECRET = "h0rse-battery"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path)


@pytest.fixture
def encrypted(tmp_path: Path, certificates: Certificates) -> Path:
    """The broker's certificate with its key under a password."""
    from cryptography.hazmat.primitives import serialization as form

    pem = certificates.broker.read_bytes()
    key = form.load_pem_private_key(pem, None)
    locked = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"word"))
    path = tmp_path / "encrypted.pem"
    path.write_bytes(locked + pem[pem.index(b"-----BEGIN CERTIFICATE") :])
    return path


def options(**values: Any) -> dict[str, Any]:
    return load_settings(**values).kafka_options()


def test_nothing_given_is_plain_tcp() -> None:
    assert options() == {}


def test_a_user_and_a_password_are_scram() -> None:
    assert options(kafka_username="issuer", kafka_password=SECRET) == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "issuer",
        "sasl_plain_password": SECRET,
    }


@pytest.mark.parametrize("how", ["kafka_tls", "kafka_ca_file", "kafka_cert_file"])
def test_each_of_these_means_tls_with_the_name_checked(certificates: Certificates, how: str) -> None:
    given = {"kafka_tls": True, "kafka_ca_file": certificates.authority, "kafka_cert_file": certificates.broker}
    found = options(**{how: given[how]})
    assert found["security_protocol"] == "SSL"
    assert found["ssl_context"].check_hostname
    assert found["ssl_context"].verify_mode == ssl.CERT_REQUIRED


def test_the_environment_is_read_by_the_commands_as_by_the_issuer(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = tmp_path / "word"
    word.write_text(f"{SECRET}\r\nanother line\n")
    for name, value in {
        "OSTRAKA_KAFKA_CA_FILE": certificates.authority,
        "OSTRAKA_KAFKA_USERNAME": "issuer",
        "OSTRAKA_KAFKA_PASSWORD_FILE": word,
        "OSTRAKA_KAFKA_MECHANISM": "PLAIN",
    }.items():
        monkeypatch.setenv(name, str(value))
    for access in (load_settings(), load_kafka_access()):
        found = access.kafka_options()
        assert found["security_protocol"] == "SASL_SSL"
        assert found["sasl_mechanism"] == "PLAIN"
        assert found["sasl_plain_password"] == SECRET


async def test_every_client_of_the_feed_is_told() -> None:
    settings = load_settings(kafka_username="issuer", kafka_password=SECRET)
    producer, consumer, admin = make_producer(settings), make_consumer(settings), make_admin(settings)
    try:
        for client in (producer.client, consumer._client, admin._client):
            assert client._security_protocol == "SASL_PLAINTEXT"
            assert client._sasl_plain_password == SECRET
    finally:
        await safe_stop(producer)
        await safe_stop(consumer)
        await admin.close()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kafka_username": "issuer"}, "a username and a password"),
        ({"kafka_password": SECRET}, "a username with a password"),
        (
            {"kafka_username": "issuer", "kafka_password": SECRET, "kafka_mechanism": "PLAIN"},
            "sends the password itself",
        ),
        ({"kafka_password": SECRET, "kafka_password_file": "word"}, "give one of them"),
        (
            {"kafka_username": "issuer", "kafka_password_file": "/nowhere/word"},
            "PASSWORD_FILE: /nowhere/word .* No such file",
        ),
        ({"kafka_username": "issuer", "kafka_password_file": "/dev/null"}, "PASSWORD_FILE: the first line .* is empty"),
        ({"kafka_ca_file": "/nowhere/ca"}, "CA_FILE: /nowhere/ca .* No such file"),
        ({"kafka_ca_file": "/dev/null"}, "CA_FILE: /dev/null cannot be used"),
        ({"kafka_cert_file": "/nowhere/cert"}, "CERT_FILE: /nowhere/cert .* No such file"),
        ({"kafka_key_file": "/nowhere/key"}, "KEY_FILE is given without"),
    ],
)
def test_what_is_half_or_missing_is_refused_in_words(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SetupError, match=words) as caught:
        options(**given)
    assert SECRET not in str(caught.value)


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(encrypted: Path) -> None:
    with pytest.raises(SetupError, match="OSTRAKA_KAFKA_CERT_FILE"):
        options(kafka_cert_file=encrypted)


@pytest.mark.parametrize("wrong", [{"kafka_mechanism": "MD5"}, {"kafka_username": ""}, {"kafka_password": ""}])
def test_values_that_cannot_be_are_refused_by_name(wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    (name,) = wrong
    with pytest.raises(SetupError, match=name):
        load_settings(**wrong)
    monkeypatch.setenv(f"OSTRAKA_{name.upper()}", wrong[name])
    with pytest.raises(SetupError, match=name):
        load_kafka_access()


def test_the_password_is_not_shown(tmp_path: Path) -> None:
    word = tmp_path / "word"
    word.write_text(SECRET)
    for given in ({"kafka_password": SECRET}, {"kafka_password_file": word}):
        settings: IssuerSettings = load_settings(kafka_username="issuer", **given)
        assert settings.kafka_security is not None
        assert SECRET not in f"{settings!r} {settings} {settings.model_dump_json()} {settings.kafka_security!r}"


async def test_an_issuer_that_cannot_use_them_does_not_start(tmp_path: Path) -> None:
    world = await World.make(tmp_path)
    await world.close()
    settings = world.settings.model_copy(update={"kafka_ca_file": tmp_path / "nowhere"})
    with pytest.raises(SetupError, match="OSTRAKA_KAFKA_CA_FILE"):
        async with open_issuer(settings):
            pass
