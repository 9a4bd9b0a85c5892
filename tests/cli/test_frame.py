"""What every command has in common: help, exit codes, errors for people."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ostraka_consumers.errors import Expired, NotReady, Stale
from ostraka_issuer.api_client import IssuerRefused, IssuerUnreachable
from ostraka_issuer.cli import checks
from ostraka_issuer.cli.exits import MEANINGS, Exit
from ostraka_issuer.cli.guard import TRACEBACK_VARIABLE, CommandError, exit_code_of, guarded
from ostraka_issuer.cli.words import WORDS, load
from ostraka_issuer.errors import BadRequest, HomeError
from ostraka_issuer.limits import USERNAME_MAX_CHARS
from ostraka_schemas.errors import OstrakaError
from tests.cli.terminal import invoke, invoke_beside


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
    assert {path[1] for path in COMMANDS if path[0] == "keys"} == {"list", "rotate", "compromise", "move", "reseal"}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    ran = invoke(*path, "--help")
    assert ran.code == Exit.OK
    assert len(ran.out) > 200
    assert f"ostraka {' '.join(path)}" in ran.out.split("Usage:", 1)[1].split("\n", 1)[1], "an example"


@pytest.mark.parametrize("word", [None, "users", "revoke", "keys"])
def test_every_group_gives_an_example(word: str | None) -> None:
    arguments = [] if word is None else [word]
    text = " ".join(invoke(*arguments, "--help").out.split())
    assert f"Examples: ostraka {word or ''}".strip() in text


@pytest.mark.parametrize("word", WORDS)
def test_the_list_of_words_says_what_the_command_says(word: str) -> None:
    assert load(word).help.startswith(WORDS[word].line)


def test_every_argument_is_explained() -> None:
    for path, command in COMMANDS.items():
        for parameter in command.params:
            assert getattr(parameter, "help", None), (path, parameter.name)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("revoke", "permission", "garbage", "--reason", "x"), "resource:action"),
        (("revoke", "permission", "a:b", "--reason", " "), "say why"),
        (("revoke", "token", "a.b", "--reason", "x"), "neither a token"),
        (("keys", "rotate", "--lead", "-5"), "--lead"),
        (("init", "--issuer", "notaurl"), "notaurl"),
        (("init", "--operator", "a b"), "user name"),
        (("serve", "--port", "99999"), "--port"),
        (("serve", "--kafka", "garbage"), "host:port"),
        (("verify", "x.y.z", "--kafka", "kafka:99999"), "host:port"),
        (("login", "alice", "--issuer", "ftp://x"), "ftp://x"),
        (("login", "alice", "--issuer", "http://x:y"), "http://x:y"),
        (("login", "alice"), "OSTRAKA_HOME"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_done(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    ran = invoke(*arguments, env={"OSTRAKA_HOME": str(home), "OSTRAKA_PASSWORD": "correct horse", "COLUMNS": "200"})
    assert ran.code == Exit.USAGE, ran
    assert said in ran.err
    assert ran.out == ""
    assert not home.exists()


def test_init_makes_nothing_for_an_operator_whose_password_is_too_short(tmp_path: Path) -> None:
    env = {"OSTRAKA_HOME": str(tmp_path / "home"), "OSTRAKA_PASSWORD_PROFILE": "unsafe-for-tests"}
    ran = invoke("init", "--operator", "ops", "--password-stdin", env=env, stdin="short\n")
    assert ran.code == Exit.USAGE
    assert "at least" in ran.err
    assert not (tmp_path / "home").exists()
    assert invoke("init", "--home", env["OSTRAKA_HOME"], env=env).code == Exit.OK
    again = invoke("init", "--home", env["OSTRAKA_HOME"], env=env)
    assert again.code == Exit.FAILED
    assert "choose another with --home" in again.err


@pytest.mark.parametrize("name", ["a", "a b", "", "ä" * USERNAME_MAX_CHARS, "a" * (USERNAME_MAX_CHARS + 1), "a\n"])
async def test_a_user_name_is_checked_as_the_accounts_do(name: str, tmp_path: Path) -> None:
    env = {"OSTRAKA_PASSWORD_PROFILE": "unsafe-for-tests", "OSTRAKA_PASSWORD": "correct horse"}
    home = ("--home", str(tmp_path / "home"))
    assert invoke_beside("init", *home, env=env).code == Exit.OK
    added = invoke_beside("users", "add", *home, "--", name, env=env)
    try:
        checks.user_name(name)
    except typer.BadParameter:
        assert added.code == Exit.USAGE
    else:
        assert added.code == Exit.OK, added


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
        (BadRequest("x"), Exit.USAGE),
    ],
)
def test_exit_codes_say_what_kind_of_error_it_was(error: OstrakaError, code: Exit) -> None:
    assert exit_code_of(error) is code


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (HomeError("no such home"), Exit.FAILED, "ostraka: no such home"),
        (KeyboardInterrupt(), Exit.INTERRUPTED, "interrupted"),
        (typer.Abort(), Exit.INTERRUPTED, "interrupted"),
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


@pytest.mark.parametrize("made_of", ["-" + "h" * 21, "--" + "A" * 20, "-" + "9" * 42])
@pytest.mark.parametrize("words", [("revoke", "session"), ("revoke", "token"), ("keys", "compromise")])
def test_an_id_may_begin_with_a_dash(words: tuple[str, str], made_of: str, tmp_path: Path) -> None:
    for arguments in ((made_of, "--reason", "x"), ("--reason", "x", made_of), ("--reason", made_of, "--", made_of)):
        ran = invoke(*words, *arguments, env={"OSTRAKA_HOME": str(tmp_path)})
        assert ran.code == Exit.REFUSED, ran
        assert "not logged in" in ran.err
    assert invoke(*words, "--reason", made_of, env={"OSTRAKA_HOME": str(tmp_path)}).code == Exit.USAGE
