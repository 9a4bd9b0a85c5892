"""Where settings come from, which one wins, and what is said of those that are wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostraka_issuer.configuration.describe import settings_of
from ostraka_issuer.configuration.layers import using
from ostraka_issuer.errors import SetupError
from ostraka_issuer.limits import CONFIG_FILE_MAX_BYTES
from ostraka_issuer.settings import IssuerSettings, load_kafka_access, load_settings, resolve_settings

SECRET = "dGhlIHNlY3JldCB0aGF0IG5vYm9keSBtYXkgc2VlISE"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "ostraka.toml"
    path.touch(mode=0o600)
    monkeypatch.setenv("OSTRAKA_CONFIG", str(path))
    return path


def refusal() -> list[str]:
    with pytest.raises(SetupError) as caught:
        load_settings()
    return str(caught.value).splitlines()


def test_arguments_win_over_the_environment_over_the_file_over_the_defaults(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("http_port = 1\ntoken_lifetime = 11\nkey_lead = 12\naudiences = ['a', 'b']\nkafka_tls = true\n")
    monkeypatch.setenv("OSTRAKA_HTTP_PORT", "2")
    monkeypatch.setenv("OSTRAKA_TOKEN_LIFETIME", "22")
    resolved = resolve_settings(http_port=3, http_host=None)
    settings = resolved.settings
    assert (settings.http_port, settings.token_lifetime, settings.key_lead) == (3, 22, 12)
    assert (settings.audiences, settings.kafka_tls, settings.http_host) == (["a", "b"], True, "127.0.0.1")
    places = {name: layer.place_of(name) for name, layer in resolved.origins.items()}
    assert places == {
        "http_port": "argument",
        "token_lifetime": "OSTRAKA_TOKEN_LIFETIME",
        "key_lead": str(file),
        "audiences": str(file),
        "kafka_tls": str(file),
    }
    assert settings.model_fields_set == set(places)


def test_every_setting_can_stand_in_either(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written from the environment is what is written from the file."""
    values = {
        "audiences": ("x,y", '["x", "y"]'),
        "http_port": ("81", "81"),
        "kafka_tls": ("true", "true"),
        "secret_key_file": ("/x", '"/x"'),
        "kafka_password": ("word", '"word"'),
        "key_store": ("database", '"database"'),
    }
    for name, (text, _) in values.items():
        monkeypatch.setenv(f"OSTRAKA_{name.upper()}", text)
    from_environment = load_settings()
    for name in values:
        monkeypatch.delenv(f"OSTRAKA_{name.upper()}")
    file.write_text("\n".join(f"{name} = {text}" for name, (_, text) in values.items()))
    assert load_settings() == from_environment


def test_each_fault_has_a_line_with_the_setting_its_place_and_what_is_allowed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("http_prt = 1\nkey_lead = -5\n[kafka_tls]\nx = 1\n")
    monkeypatch.setenv("OSTRAKA_TOKEN_LIFETIME", "soon")
    monkeypatch.setenv("OSTRAKA_TOKEN_ALGORITHM", "HS256")
    monkeypatch.setenv("OSTRAKA_KAFKA_USERNAME", "")
    monkeypatch.setenv("OSTRAKA_ISUER", "https://id.example")
    head, *lines = refusal()
    assert head == "7 settings are wrong:"
    assert sorted(line.strip() for line in lines) == sorted(
        [
            "OSTRAKA_ISUER (environment): there is no such setting; did you mean OSTRAKA_ISSUER?",
            f"http_prt ({file}): there is no such setting; did you mean http_port?",
            f"kafka_tls ({file}): must be true or false",
            f"key_lead ({file}): must be a whole number from 0 to 2592000",
            "kafka_username (OSTRAKA_KAFKA_USERNAME): must not be empty",
            "token_algorithm (OSTRAKA_TOKEN_ALGORITHM): must be one of ES256, EdDSA, RS256, PS256",
            "token_lifetime (OSTRAKA_TOKEN_LIFETIME): must be a whole number from 10 to 900",
        ]
    )


def test_one_fault_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTRAKA_ISSUER", "ftp://id.example")
    assert refusal() == [
        "setting issuer (OSTRAKA_ISSUER): the issuer is an http or https URL without user, query and fragment"
    ]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("kafka", "host", "host:port"),
        ("kafka", "host:9092,", "host:port"),
        ("kafka", "host:0", "host:port"),
        ("feed_topic", "a b", "letters"),
        ("feed_topic", "", "letters"),
        ("feed_topic", "..", "letters"),
        ("feed_topic", "x" * 245, "249"),
        ("issuer", "http://user:pw@host", "without user"),
        ("issuer", "http://host:99999", "URL"),
        ("secret_key", "short", "base64url of 32 random bytes"),
        ("failpoint", "nope", "failpoint"),
    ],
    ids=lambda value: value[:20],
)
def test_what_nothing_could_be_done_with_is_refused_without_its_value(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"OSTRAKA_{name.upper()}", value)
    (line,) = refusal()
    assert line.startswith(f"setting {name} (OSTRAKA_{name.upper()}): ")
    assert words in line
    assert len(value) < 5 or value not in line


def test_the_commands_that_only_read_the_feed_use_the_same_file(file: Path) -> None:
    file.write_text("kafka_username = 'reader'\nkafka_password = 'word'\ntoken_lifetime = 60\n")
    assert load_kafka_access().kafka_username == "reader"
    file.write_text("kafka_usrname = 'reader'\n")
    with pytest.raises(SetupError, match="did you mean kafka_username"):
        load_kafka_access()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"http_port = ", "is not TOML"),
        (b"\xff", "not UTF-8"),
        (b"a = 1\na = 2", "is not TOML"),
        (b"# " + b"x" * CONFIG_FILE_MAX_BYTES, "at most"),
        pytest.param(b"a = " + b"[" * 20_000, "nested too deeply", id="nested"),
    ],
)
def test_what_is_no_settings_file_is_refused(file: Path, content: bytes, words: str) -> None:
    file.write_bytes(content)
    (line,) = refusal()
    assert words in line
    assert str(file) in line


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with using(tmp_path / "nowhere.toml"), pytest.raises(SetupError, match="No such file"):
        load_settings()
    assert load_settings().http_port == 8400


@pytest.mark.skipif(os.name != "posix", reason="pipes have names on POSIX only")
def test_a_pipe_is_read_as_what_it_contains_however_often_it_is_asked() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"http_port = 9000\nnosuch = 1\n")
    os.close(writing)
    try:
        with using(Path(f"/dev/fd/{reading}")):
            for _ in range(2):
                (line,) = refusal()
                assert "nosuch" in line
    finally:
        os.close(reading)


@pytest.mark.skipif(os.name != "posix", reason="pipes have names on POSIX only")
def test_of_a_pipe_no_more_is_read_than_a_settings_file_holds(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    written = f"open({str(pipe)!r}, 'wb', 0).write(b'#' * {CONFIG_FILE_MAX_BYTES + 1})"
    writer = subprocess.Popen([sys.executable, "-c", written], stderr=subprocess.DEVNULL)
    try:
        with using(pipe), pytest.raises(SetupError, match="at most"):
            load_settings()
    finally:
        writer.wait(30)


def test_a_directory_is_no_settings_file(tmp_path: Path) -> None:
    with using(tmp_path), pytest.raises(SetupError, match=f"cannot read the settings file {tmp_path}: Is a directory"):
        load_settings()


@pytest.mark.skipif(os.name != "posix", reason="modes are a POSIX thing")
def test_a_secret_in_a_file_that_everybody_may_read_is_refused(file: Path) -> None:
    file.write_text(f"secret_key = '{SECRET}'\n")
    assert load_settings().secret_key is not None
    for mode in (0o640, 0o660):
        file.chmod(mode)
        assert load_settings().secret_key is not None
    for mode in (0o604, 0o602):
        file.chmod(mode)
        (line,) = refusal()
        assert "chmod o=" in line
    file.write_text("http_port = 1\n")
    assert load_settings().http_port == 1


def test_variables_that_others_set_are_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OSTRAKA_SERVICE_HOST",
        "OSTRAKA_SERVICE_PORT",
        "OSTRAKA_SERVICE_PORT_HTTP",
        "OSTRAKA_PORT",
        "OSTRAKA_PORT_8400_TCP",
        "OSTRAKA_PORT_8400_TCP_ADDR",
        "OSTRAKA_API_SERVICE_HOST",
        "OSTRAKA_API_PORT_80_TCP_PROTO",
        "OSTRAKA_PASSWORD",
        "OSTRAKA_TRACEBACK",
        "OSTRAKA_TEST_SOMETHING",
    ):
        monkeypatch.setenv(name, "tcp://10.0.0.1:8400")
    assert load_settings().http_port == 8400


@given(value=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=12))
def test_no_message_repeats_a_value(value: str) -> None:
    """Whatever is wrong, and wherever it stands: it may be a secret that was put beside its place."""
    value = f"s3cret{value}s3cret"
    model = settings_of(IssuerSettings)
    wrong = {name: value for name in model if model[name].allowed.startswith(("one of", "true", "a whole number"))}
    for given_values in (wrong, {**wrong, "database": value, "issuer": value}):
        with pytest.raises(SetupError) as caught:
            load_settings(**given_values)
        assert "s3cret" not in f"{caught.value!r} {caught.value}"
        lines = str(caught.value).splitlines()
        assert len(lines) == 1 + len(given_values), "a line for each"


def test_secrets_are_not_shown_by_what_holds_them(file: Path) -> None:
    file.write_text(f"secret_key = '{SECRET}'\nkafka_password = '{SECRET}'\ndatabase = 'postgresql://o:{SECRET}@h/d'\n")
    resolved = resolve_settings()
    assert SECRET not in f"{resolved} {resolved!r} {resolved.settings!r} {resolved.settings.model_dump_json()}"


def test_every_setting_says_what_it_does() -> None:
    for setting in settings_of(IssuerSettings).values():
        assert setting.text.endswith("."), setting.name
        assert setting.allowed != "a value", setting.name
