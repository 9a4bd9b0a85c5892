"""``users``, ``roles``, ``clients``, ``sessions`` and ``audit``: on the home itself, and through a login elsewhere."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ostraka_issuer.accounts.offline import open_accounts
from ostraka_issuer.cli.exits import Exit
from ostraka_issuer.provision import create_home
from ostraka_issuer.settings import load_settings
from tests.cli.terminal import Ran, invoke, invoke_beside
from tests.issuer.test_client_credentials import KEYS, PRIVATE, jwks
from tests.issuer.world import new_settings
from tests.kafka.broker import Broker
from tests.support.stack import PASSWORD, IssuerHome, make_home, running_issuer


class Home:
    """A home without an issuer."""

    def __init__(self, path: Path) -> None:
        self.settings = new_settings(path)
        asyncio.run(create_home(self.settings))
        self._env = {"OSTRAKA_HOME": str(self.settings.home), "OSTRAKA_PASSWORD_PROFILE": "unsafe-for-tests"}

    def __call__(self, *arguments: str, code: Exit = Exit.OK, stdin: str = PASSWORD) -> Ran:
        ran = invoke(*arguments, env=self._env, stdin=stdin)
        assert ran.code == code, ran
        return ran

    def json(self, *arguments: str, **more: Any) -> dict[str, Any]:
        return self(*arguments, "--json", **more).document


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_user_from_begin_to_end(home: Home) -> None:
    made = home.json("users", "add", "alice", "-p", "orders:read", "--password-stdin")
    assert (made["username"], made["permissions"], made["disabled"]) == ("alice", ["orders:read"], False)
    home("roles", "add", "clerk", "-p", "orders:create", "-p", "orders:read", "--description", "takes orders")
    home("users", "grant", "alice", "-r", "clerk", "-p", "reports:read")
    shown = home.json("users", "show", "alice")
    assert shown["effective_permissions"] == ["orders:create", "orders:read", "reports:read"]
    assert shown["subject"] == made["subject"]
    assert "roles: clerk" in home("users", "show", "alice").out
    less = home("users", "withdraw", "alice", "-p", "orders:read", "--reason", "audit")
    assert "still holds orders:read" in less.err
    done = home.json("users", "withdraw", "alice", "-r", "clerk", "--reason", "moved")
    assert (done["effective_permissions"], done["announced"]) == (["reports:read"], 1)
    assert "verifiers are told by the issuer" in home("users", "disable", "alice", "--reason", "gone").out
    assert "(disabled)" in home("users", "list").out
    assert home.json("users", "enable", "alice")["disabled"] is False
    assert home.json("users", "password", "alice", "--password-stdin", stdin="a new one entirely")["announced"] == 1
    assert home.json("users", "delete", "alice", "--reason", "asked for it")["announced"] == 1
    assert home.json("users", "list") == {"users": []}
    assert "there is no user alice" in home("users", "show", "alice", code=Exit.FAILED).err


def test_roles(home: Home) -> None:
    home("roles", "add", "clerk", "-p", "orders:create")
    home("users", "add", "alice", "-r", "clerk", "--password-stdin")
    assert home.json("roles", "grant", "clerk", "-p", "orders:read")["announced"] == 0
    assert home.json("roles", "withdraw", "clerk", "-p", "orders:create")["announced"] == 1
    assert home.json("roles", "show", "clerk")["permissions"] == ["orders:read"]
    assert [user["username"] for user in home.json("users", "list", "-r", "clerk")["users"]] == ["alice"]
    assert "clerk  1      orders:read" in home("roles", "list").out
    assert home.json("roles", "delete", "clerk", "--reason", "gone")["announced"] == 1
    assert home.json("roles", "list") == {"roles": []}
    assert "no such role" in home("roles", "show", "clerk", code=Exit.FAILED).err


def test_clients(home: Home, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(jwks(KEYS[0])))
    own = ("--grant", "client_credentials", "-p", "orders:read")
    made = home.json("clients", "add", "billing", "--auth", "client_secret_basic", *own)
    assert len(made["client_secret"]) == 43
    changed = home.json("clients", "secret", "billing", "--reason", "was in a log")
    assert changed["client_secret"] != made["client_secret"]
    assert changed["announced"] == 1
    home("clients", "add", "mill", "--auth", "private_key_jwt", "--jwks", str(keys), *own)
    assert KEYS[0].public.kid in home("clients", "show", "mill").out
    keys.write_text(json.dumps(jwks(KEYS[1])))
    assert home.json("clients", "change", "mill", "--jwks", str(keys), "--reason", "new machine")["announced"] == 1
    assert home.json("clients", "withdraw", "mill", "-p", "orders:read")["announced"] == 1
    assert home.json("clients", "grant", "mill", "-p", "orders:*")["permissions"] == ["orders:*"]
    assert home.json("clients", "disable", "mill")["disabled"] is True
    assert home.json("clients", "enable", "mill")["disabled"] is False
    assert {client["id"] for client in home.json("clients", "list")["clients"]} == {"billing", "mill", "ostraka-cli"}
    home("clients", "delete", "mill")
    assert "no such client" in home("clients", "show", "mill", code=Exit.FAILED).err
    assert changed["client_secret"] not in home("audit", "--json").out


def test_no_withdrawal_does_nothing_and_says_yes(home: Home) -> None:
    home("users", "add", "alice", "-p", "orders:*", "--password-stdin")
    home("roles", "add", "clerk", "-p", "orders:*")
    home("clients", "add", "mill", "--auth", "client_secret_basic", "--grant", "client_credentials", "-p", "orders:*")
    for kind, name in (("users", "alice"), ("roles", "clerk"), ("clients", "mill")):
        part = home(kind, "withdraw", name, "-p", "orders:create", "--reason", "new job", code=Exit.FAILED)
        assert "withdraw orders:*, and grant what is to stay" in " ".join(part.err.replace("│", "").split())
        nothing = home(kind, "withdraw", name, "-p", "stock:read", "--reason", "new job")
        assert "held nothing of that" in " ".join(nothing.err.split())
        assert "orders:*" not in home(kind, "withdraw", name, "-p", "orders:*", "--reason", "new job").out


def test_what_is_wrong_is_said_before_anything_is_done(home: Home, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [PRIVATE]}))
    for arguments, word in (
        (("users", "add", "a b", "--password-stdin"), "user name"),
        (("users", "add", "x" * 256, "--password-stdin"), "255 characters"),
        (("users", "add", "a", "-p", "nonsense", "--password-stdin"), "permission"),
        (("users", "add", "a", "-r", "nobody", "--password-stdin"), "no role nobody"),
        (("users", "grant", "alice"), "-p"),
        (("users", "show", "\udcff"), "no text in UTF-8"),
        (("roles", "show", "\udcff"), "no text in UTF-8"),
        (("clients", "add", "a", "--name", "\udcff"), "no text in UTF-8"),
        (("users", "withdraw", "alice", "-p", "a:b", "--reason", " "), "say why"),
        (("roles", "add", "a/b"), "name of a role"),
        (("clients", "add", "a", "--grant", "implicit"), "implicit"),
        (("clients", "add", "a", "--grant", "client_credentials"), "proves nothing"),
        (("clients", "add", "a", "--auth", "private_key_jwt", "--jwks", str(keys)), "exactly the members"),
        (("clients", "change", "ostraka-cli"), "name what is to change"),
    ):
        ran = home(*arguments, code=Exit.USAGE)
        assert word in " ".join(ran.err.replace("│", "").split()), ran.err
        assert PRIVATE["d"] not in ran.err
        assert PASSWORD not in ran.err
    assert [entry["action"] for entry in home.json("audit")["entries"]] == []


def test_the_audit_trail_of_a_home(home: Home) -> None:
    home("users", "add", "alice", "--password-stdin")
    home("users", "disable", "alice", "--reason", "gone")
    newest, first = home.json("audit")["entries"]
    assert (newest["actor"], newest["action"], newest["details"]) == (
        "home",
        "user.change",
        {"disabled": True, "reason": "gone"},
    )
    assert newest["txn"] is not None
    assert (first["action"], first["details"]["username"]) == ("user.add", "alice")
    assert PASSWORD not in home("audit").out
    assert home.json("audit", "--action", "user.add")["entries"] == [first]
    assert home.json("audit", "--limit", "1")["entries"] == [newest]


def test_neither_home_nor_login(tmp_path: Path) -> None:
    ran = invoke("roles", "list", env={"OSTRAKA_HOME": str(tmp_path)})
    assert ran.code == Exit.FAILED
    assert "run: ostraka init" in ran.err
    ran = invoke("roles", "list", "--login", env={"OSTRAKA_HOME": str(tmp_path)})
    assert ran.code == Exit.REFUSED
    assert "ostraka login" in ran.err


# --- elsewhere -------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def served(tmp_path: Path, kafka: Broker, topic_prefix: str) -> AsyncIterator[IssuerHome]:
    home = await make_home(tmp_path / "home", kafka, f"{topic_prefix}.feed")
    settings = load_settings(home=home.path, password_profile="unsafe-for-tests")
    async with open_accounts(settings) as accounts:
        await accounts.add_user("root", PASSWORD, ["*:*"])
    async with running_issuer(home):
        yield home


async def test_an_operator_at_another_machine(served: IssuerHome, tmp_path: Path) -> None:
    env = {"OSTRAKA_HOME": str(tmp_path / "laptop")}

    def there(*arguments: str, code: Exit = Exit.OK) -> Ran:
        ran = invoke_beside(*arguments, env=env, stdin=PASSWORD)
        assert ran.code == code, ran
        return ran

    there("login", "root", "--issuer", served.url, "--password-stdin")
    there("roles", "add", "clerk", "-p", "stock:read")
    there("users", "grant", "alice", "-r", "clerk")
    (session,) = there("sessions", "list", "--user", "root", "--json").document["sessions"]
    done = there("users", "withdraw", "alice", "-r", "clerk", "--reason", "moved", "--json").document
    assert (done["announced"], done["published"]) == (1, True)
    assert done["seq"] > 2
    assert "on the bus" in there("users", "disable", "bob", "--reason", "left").out
    entries = there("audit", "--json").document["entries"]
    root = there("users", "show", "root", "--json").document["subject"]
    assert {entry["actor"] for entry in entries} == {root, "home"}
    # As somebody who may not.
    there("login", "alice", "--issuer", served.url, "--password-stdin")
    refused = there("users", "list", code=Exit.REFUSED)
    assert "alice" in refused.err
    assert "users:read" in refused.err
    # On the issuer's machine: on the home, or as somebody.
    env["OSTRAKA_HOME"] = str(served.path)
    there("users", "list")
    there("users", "list", "--login", code=Exit.REFUSED)
    there("login", "operator", "--issuer", served.url, "--password-stdin")
    assert "operator" in there("users", "list", "--login", code=Exit.REFUSED).err
    there("sessions", "end", session["id"], "--reason", "drill")
    listed = invoke_beside("sessions", "list", "--ended", "--json", env={"OSTRAKA_HOME": str(served.path)})
    (over,) = [each for each in listed.document["sessions"] if each["id"] == session["id"]]
    assert over["end_reason"] == "drill"
