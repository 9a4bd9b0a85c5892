"""What every command has in common: help, exit codes, errors for people."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from ostraka_consumers.errors import Expired, NotReady, Stale
from ostraka_issuer.api_client import IssuerRefused, IssuerUnreachable
from ostraka_issuer.cli.exits import MEANINGS, Exit
from ostraka_issuer.cli.guard import TRACEBACK_VARIABLE, CommandError, exit_code_of, guarded
from ostraka_issuer.cli.words import WORDS, load
from ostraka_issuer.errors import HomeError
from ostraka_schemas.errors import OstrakaError
from tests.cli.terminal import invoke


def _leaves(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    children = getattr(group, "commands", None)
    if children is None:
        yield path, group
        return
    for name, child in children.items():
        yield from _leaves(child, (*path, name))


COMMANDS = {path: leaf for word in WORDS for path, leaf in _leaves(load(word), (word,))}


def test_the_words_are_those_of_the_design() -> None:
    words = {path[0] for path in COMMANDS}
    assert {"init", "serve", "users", "login", "revoke", "keys", "watch", "verify", "dev", "demo"} <= words
    kinds = {path[1] for path in COMMANDS if path[0] == "revoke"}
    assert kinds == {"token", "session", "subject", "client", "permission", "all"}
    assert {path[1] for path in COMMANDS if path[0] == "keys"} == {"list", "rotate", "compromise"}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    ran = invoke(*path, "--help")
    assert ran.code == Exit.OK
    assert len(ran.out) > 200
    if path != ("users", "list"):
        assert f"ostraka {' '.join(path)}" in ran.out.split("Usage:", 1)[1].split("\n", 1)[1], "an example"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_with_a_result_writes_json(path: tuple[str, ...]) -> None:
    options = {option for parameter in COMMANDS[path].params for option in parameter.opts}
    assert ("--json" in options) == (path != ("serve",))


def test_the_list_of_words_loads_none_of_them() -> None:
    program = (
        "import sys; from typer.testing import CliRunner; from ostraka_issuer.cli import app; "
        "out = CliRunner().invoke(app, ['--help']).output; assert 'verify' in out; "
        "print(sorted({'fastapi', 'sqlalchemy', 'aiokafka', 'httpx', 'uvicorn'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_help_explains_the_exit_codes() -> None:
    text = invoke("--help").out
    for code in Exit:
        assert f"{code.value}: {MEANINGS[code][:20]}" in text


def test_no_secret_is_an_argument() -> None:
    for path, command in COMMANDS.items():
        for parameter in command.params:
            takes_value = not getattr(parameter, "is_flag", False)
            assert not (takes_value and "password" in str(parameter.name)), path


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandError("x", Exit.USAGE), Exit.USAGE),
        (IssuerUnreachable("x"), Exit.UNREACHABLE),
        (IssuerRefused("x", 401, None), Exit.REFUSED),
        (IssuerRefused("x", 403, "permission_denied"), Exit.REFUSED),
        (IssuerRefused("x", 400, "invalid_grant"), Exit.REFUSED),
        (IssuerRefused("x", 404, "not_found"), Exit.FAILED),
        (NotReady("x"), Exit.NOT_READY),
        (Stale("x"), Exit.NOT_READY),
        (Expired("x"), Exit.REFUSED),
        (HomeError("x"), Exit.FAILED),
    ],
)
def test_exit_codes_say_what_kind_of_error_it_was(error: OstrakaError, code: Exit) -> None:
    assert exit_code_of(error) is code


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (HomeError("no such home"), Exit.FAILED, "ostraka: no such home"),
        (KeyboardInterrupt(), Exit.INTERRUPTED, "interrupted"),
        (ZeroDivisionError("a defect"), Exit.FAILED, "unexpected ZeroDivisionError: a defect"),
    ],
)
def test_errors_become_one_line_and_an_exit_code(
    raised: BaseException, code: Exit, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    @guarded
    def command() -> None:
        raise raised

    with pytest.raises(typer.Exit) as exit_:
        command()
    out, err = capfd.readouterr()
    assert exit_.value.exit_code == code
    assert said in err
    assert "Traceback" not in err
    assert out == ""


def test_a_defect_shows_its_traceback_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRACEBACK_VARIABLE, "1")

    @guarded
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command()


def test_the_version() -> None:
    assert invoke("--version").out.startswith("ostraka 0.")


def test_a_word_that_does_not_exist() -> None:
    ran = invoke("frobnicate")
    assert ran.code == Exit.USAGE
    assert "frobnicate" in ran.err
