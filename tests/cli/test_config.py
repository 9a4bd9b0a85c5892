import asyncio
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ostraka_issuer.cli import app
from ostraka_issuer.cli.exits import Exit
from ostraka_issuer.cli.words import WORDS, load
from ostraka_issuer.keys.vault import Vault
from ostraka_issuer.provision import create_home
from ostraka_issuer.settings import load_settings
from tests.cli.terminal import run
from tests.issuer.world import new_settings

SECRET = "dGhlIHNlY3JldCB0aGF0IG5vYm9keSBtYXkgc2VlISE"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ostraka.toml"
    path.touch(mode=0o600)
    path.write_text(f"home = '{tmp_path / 'home'}'\nhttp_port = 9000\nsecret_key = '{SECRET}'\n")
    return path


def shown(*arguments: str) -> dict[str, dict[str, object]]:
    ran = CliRunner().invoke(app, ["config", "show", "--json", *arguments])
    assert ran.exit_code == Exit.OK, ran.output
    assert SECRET not in ran.output
    return {row["name"]: row for row in json.loads(ran.stdout)["settings"]}


def test_it_shows_values_and_where_they_come_from(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OSTRAKA_TOKEN_LIFETIME", "60")
    rows = shown("--config", str(file))
    assert rows["http_port"] == {"name": "http_port", "value": "9000", "source": str(file), "secret": False}
    assert rows["token_lifetime"]["source"] == "OSTRAKA_TOKEN_LIFETIME"
    assert rows["secret_key"] == {"name": "secret_key", "value": "(hidden)", "source": str(file), "secret": True}
    assert rows["client_id"]["source"] == "default"
    assert rows["home"]["source"] == str(file)
    assert shown("--config", str(file), "--home", str(tmp_path))["home"] == {
        "name": "home",
        "value": str(tmp_path),
        "source": "argument",
        "secret": False,
    }


def test_only_what_was_set(file: Path) -> None:
    assert shown("--changed", "--config", str(file)).keys() == {"home", "http_port", "secret_key"}
    ran = CliRunner().invoke(app, ["config", "show", "--changed", "--config", str(file)])
    assert f"http_port = 9000   ({file})" in ran.stdout
    assert SECRET not in ran.output


def test_init_takes_home_and_secret_from_the_file(tmp_path: Path) -> None:
    Vault.create(tmp_path / "secret")
    file = tmp_path / "ostraka.toml"
    file.write_text(
        f"home = '{tmp_path / 'home'}'\nsecret_key_file = '{tmp_path / 'secret'}'\nissuer = 'https://id.example'\n"
    )
    ran = CliRunner().invoke(app, ["init", "--profile", "dev", "--config", str(file)])
    assert ran.exit_code == Exit.OK, ran.output
    assert "https://id.example" in ran.stdout
    assert "secret.key" not in ran.stdout
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["anchor.json", "keys", "ostraka.db"]
    ran = CliRunner().invoke(app, ["users", "list", "--config", str(file)])
    assert ran.exit_code == Exit.OK, ran.output


def test_the_variable_names_a_file_too_and_the_option_wins(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text("http_port = 9001\n")
    monkeypatch.setenv("OSTRAKA_CONFIG", str(file))
    assert shown()["http_port"]["value"] == "9000"
    assert shown("--config", str(other))["http_port"]["value"] == "9001"


def test_a_file_holds_for_one_command_only(file: Path) -> None:
    shown("--config", str(file))
    assert load_settings().http_port == 8400


def test_check_says_all_that_is_wrong_and_never_a_secret(file: Path) -> None:
    ran = CliRunner().invoke(app, ["config", "check", "--config", str(file)])
    assert (ran.exit_code, ran.stdout) == (Exit.OK, f"the settings can be used ({file}; 3 set)\n")
    file.write_text(f"http_port = '{SECRET}'\nkey_store = 1\nsecretkey = '{SECRET}'\n")
    ran = CliRunner().invoke(app, ["config", "check", "--config", str(file)])
    assert ran.exit_code == Exit.FAILED
    for words in ("3 settings are wrong", "http_port", "one of directory, database", "did you mean secret_key?"):
        assert words in ran.stderr
    assert SECRET not in ran.output


def test_check_sees_what_no_single_setting_shows(file: Path) -> None:
    with file.open("a") as more:
        more.write("secret_key_file = '/x'\n")
    ran = CliRunner().invoke(app, ["config", "check", "--config", str(file)])
    assert "both given" in ran.stderr
    file.write_text("kafka_username = 'x'\n")
    ran = CliRunner().invoke(app, ["config", "check", "--config", str(file)])
    assert "OSTRAKA_KAFKA" in ran.stderr


@pytest.mark.parametrize("words", [("config", "check"), ("serve",)], ids=["check", "serve"])
def test_check_and_serve_name_the_same_faults_all_at_once(words: tuple[str, ...], tmp_path: Path) -> None:
    wrong = {
        "ROLE": "foo",
        "HTTP_PORT": "0",
        "LOG_LEVEL": "loud",
        "LOG_FORMAT": "xml",
        "KAFKA": "host",
        "FEED_TOPIC": "a b",
        "ISSUER": "http://somebody:pw@host",
        "FAILPOINT": "nope",
        "SECRET_KEY_FILE": str(tmp_path / "nowhere"),
        "KAFKA_KEY_FILE": str(tmp_path / "key"),
    }
    ran = run(*words, env={"OSTRAKA_HOME": str(tmp_path)} | {f"OSTRAKA_{name}": value for name, value in wrong.items()})
    head, *lines = ran.err.splitlines()
    assert (ran.code, ran.out, head) == (Exit.FAILED, "", f"ostraka: {len(wrong)} settings are wrong:")
    assert len(lines) == len(wrong)
    for name in wrong:
        assert len([line for line in lines if f"OSTRAKA_{name})" in line or f"  OSTRAKA_{name}" in line[:40]]) >= 1, (
            name
        )
    assert "Value error" not in ran.err
    assert "somebody" not in ran.err


def test_the_files_home_is_everybodys_home(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (["users", "list"], ["root", "show"], ["keys", "list"]):
        ran = CliRunner().invoke(app, [*command, "--config", str(file)])
        assert ran.exit_code != Exit.OK
        assert str(tmp_path / "home") in ran.stderr, command
    monkeypatch.setenv("OSTRAKA_HOME", str(tmp_path / "environment"))
    ran = CliRunner().invoke(app, ["users", "list", "--config", str(file)])
    assert str(tmp_path / "environment") in ran.stderr
    ran = CliRunner().invoke(app, ["users", "list", "--config", str(file), "--home", str(tmp_path / "option")])
    assert str(tmp_path / "option") in ran.stderr


def test_a_file_that_cannot_be_read_ends_every_command_in_words(tmp_path: Path) -> None:
    for command in (["users", "list"], ["config", "show"], ["serve"], ["keys", "list"]):
        ran = CliRunner().invoke(app, [*command, "--config", str(tmp_path / "nowhere.toml")])
        assert ran.exit_code == Exit.FAILED
        assert "cannot read the settings file" in ran.stderr, command


@pytest.mark.skipif(os.name != "posix", reason="pipes have names on POSIX only")
def test_check_reads_a_pipe_and_refuses_a_directory(tmp_path: Path) -> None:
    ran = run("config", "check", "--config", "/dev/stdin", env={}, stdin="nosuch = 1\n")
    assert (ran.code, ran.out) == (Exit.FAILED, "")
    assert "nosuch (/dev/stdin): there is no such setting" in ran.err
    ran = run("config", "check", "--config", "/dev/stdin", env={}, stdin="http_port = 9000\n")
    assert (ran.code, ran.out) == (Exit.OK, "the settings can be used (/dev/stdin; 1 set)\n"), ran
    for word in ("config", "serve"):
        ran = run(*([word, "check"] if word == "config" else [word]), "--config", str(tmp_path), env={})
        assert ran.code == Exit.FAILED
        assert ran.err.splitlines() == [f"ostraka: cannot read the settings file {tmp_path}: Is a directory"]


async def test_keys_are_moved_and_sealed_anew_by_command(tmp_path: Path) -> None:
    home = tmp_path / "home"
    await create_home(new_settings(tmp_path))
    Vault.create(tmp_path / "new.key")

    def ran(*words: str) -> dict[str, object]:
        done = CliRunner().invoke(app, [*words, "--home", str(home), "--json"])
        assert done.exit_code == Exit.OK, done.output
        document: dict[str, object] = json.loads(done.stdout)
        return document

    moved = await asyncio.to_thread(ran, "keys", "move", "--to", "database")
    assert (moved["key_store"], len(moved["moved"])) == ("database", 2)  # type: ignore[arg-type]
    assert [path.name.partition("-")[0] for path in (home / "keys").iterdir()] == ["root"]
    await asyncio.to_thread(ran, "keys", "move", "--to", "directory")
    resealed = await asyncio.to_thread(ran, "keys", "reseal", "--secret-file", str(tmp_path / "new.key"))
    assert (resealed["secret_in_home"], len(resealed["resealed"])) == (True, 3)  # type: ignore[arg-type]
    assert (home / "secret.key").read_bytes() == (tmp_path / "new.key").read_bytes()


def test_what_the_desk_starts_has_settings_of_its_own() -> None:
    assert [word for word, entry in WORDS.items() if not entry.settings] == ["demo", "dev"]
    for word in ("demo", "dev"):
        assert "config" not in [param.name for param in load(word).params]
