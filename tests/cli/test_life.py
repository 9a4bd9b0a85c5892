"""The commands against a running issuer and broker, in the order of an issuer's life."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from ostraka_issuer.api_client import ApiClient
from ostraka_issuer.cli.exits import Exit
from ostraka_issuer.desk.ports import find_free_port
from tests.cli.terminal import Ran, command, environment, invoke_beside, run
from tests.kafka.broker import Broker

PASSWORD = "correct horse battery staple"
PATIENCE = 30.0


class Desk:
    """A home of its own, and the variables that lead the command to it."""

    def __init__(self, home: Path, kafka: Broker, topic: str) -> None:
        self.port = find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.home = home
        self.variables = {
            "OSTRAKA_HOME": str(home),
            "OSTRAKA_ISSUER": self.url,
            "OSTRAKA_KAFKA": kafka.bootstrap,
            "OSTRAKA_KAFKA_EMBEDDED": str(not kafka.true_kafka).lower(),
            "OSTRAKA_FEED_TOPIC": topic,
            "OSTRAKA_HTTP_PORT": str(self.port),
            "OSTRAKA_PASSWORD_PROFILE": "unsafe-for-tests",
        }

    def __call__(self, *arguments: str, stdin: str = "") -> Ran:
        return invoke_beside(*arguments, env=self.variables, stdin=stdin)

    def token_of(self, name: str) -> str:
        ran = self("login", name, "--show-token", "--password-stdin", stdin=PASSWORD)
        assert ran.code == Exit.OK, ran.err
        return ran.out.strip()

    @contextmanager
    def process(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            command(*arguments),
            env=environment(self.variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


async def until_ready(url: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    async with ApiClient(url) as api:
        while not await api.is_ready():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


@pytest.fixture
def desk(tmp_path: Path, kafka: Broker, topic_prefix: str) -> Desk:
    return Desk(tmp_path / "home", kafka, f"{topic_prefix}.feed")


@pytest_asyncio.fixture
async def served(desk: Desk) -> AsyncIterator[Desk]:
    """A home with users, served, and the operator logged in."""
    assert desk("init", "--operator", "ops", "--password-stdin", stdin=PASSWORD).code == Exit.OK
    permissions = ("-p", "orders:create", "-p", "reports:read")
    assert desk("users", "add", "alice", *permissions, "--password-stdin", stdin=PASSWORD).code == Exit.OK
    with desk.process("serve") as process:
        await until_ready(desk.url, process)
        assert desk("login", "ops", "--password-stdin", stdin=PASSWORD).code == Exit.OK
        yield desk


def test_init_shows_the_operators_password_once_and_what_to_keep_safe(desk: Desk) -> None:
    ran = desk("init", "--operator", "ops", "--json")
    document = ran.document
    assert ran.code == Exit.OK
    assert len(document["operator_password"]) >= 20
    assert document["issuer"] == desk.url
    assert json.loads(Path(document["anchor"]).read_text())["root_thumbprints"] == [document["root_key"]]
    assert stat.S_IMODE((desk.home / "secret.key").stat().st_mode) == 0o600
    for path in desk.home.rglob("*"):
        assert not path.is_file() or document["operator_password"].encode() not in path.read_bytes(), path
    again = desk("init")
    assert again.code == Exit.FAILED
    assert "is a home already" in again.err
    assert again.out == ""


def test_init_with_a_password_of_ones_own_repeats_it_nowhere(desk: Desk) -> None:
    ran = desk("init", "--operator", "ops", "--password-stdin", stdin=PASSWORD)
    assert ran.code == Exit.OK
    assert "secret.key" in ran.out
    assert "anchor.json" in ran.out
    assert PASSWORD not in ran.out + ran.err


def test_users_are_made_and_granted_in_the_home(desk: Desk) -> None:
    assert "run: ostraka init" in desk("users", "list").err
    desk("init")
    made = desk("users", "add", "alice", "-p", "orders:*", "--password-stdin", "--json", stdin=PASSWORD)
    assert made.document["permissions"] == ["orders:*"]
    assert "exists already" in desk("users", "add", "alice", "--password-stdin", stdin=PASSWORD).err
    assert "no password" in desk("users", "add", "bob").err
    assert desk("users", "add", "bob", "-p", "nonsense", "--password-stdin", stdin=PASSWORD).code == Exit.USAGE
    granted = desk("users", "grant", "alice", "-p", "reports:read", "--json")
    assert granted.document["permissions"] == ["orders:*", "reports:read"]
    (listed,) = desk("users", "list", "--json").document["users"]
    assert listed.items() <= granted.document.items()


def test_without_an_issuer_it_says_so(desk: Desk) -> None:
    desk("init")
    ran = desk("login", "ops", "--password-stdin", stdin=PASSWORD)
    assert ran.code == Exit.UNREACHABLE
    assert desk.url in ran.err
    assert desk("keys", "list").code == Exit.REFUSED


async def test_a_token_from_login_to_refusal(served: Desk) -> None:
    token = served.token_of("alice")
    asked = ("verify", token, "--json", "--require", "orders:create")
    accepted = served(*asked)
    assert accepted.code == Exit.OK, accepted
    assert [step["name"] for step in accepted.document["steps"]][:4] == ["ready", "shape", "key", "signature"]
    assert accepted.document["grant"]["permissions"] == ["orders:create", "reports:read"]

    done = served("revoke", "permission", "orders:create", "--reason", "stock-taking", "--json")
    assert done.code == Exit.OK, done
    assert done.document["grants_removed"] == 1
    assert done.document["published"] is True
    assert done.document["committed_at"] == pytest.approx(time.time(), abs=60)
    refused = served(*asked)
    assert refused.code == Exit.REFUSED
    assert refused.document["error"] == "permission_denied"
    assert served("verify", "-", "--require", "reports:read", stdin=token).code == Exit.OK

    assert served("revoke", "token", "-", "--reason", "lost", stdin=token).code == Exit.OK
    human = served("verify", token)
    assert human.code == Exit.REFUSED
    assert "✗ revocation" in human.out
    assert token not in human.out + human.err


async def test_a_logout_ends_the_session_everywhere(served: Desk) -> None:
    kept = json.loads((served.home / "session.json").read_text())
    ran = served("logout", "--json")
    assert ran.document == {"forgotten": True, "session_id": kept["session_id"], "ended": True}
    assert not (served.home / "session.json").exists()
    verified = served("verify", kept["access_token"], "--audience", "ostraka")
    assert verified.code == Exit.REFUSED, verified.out
    assert served("keys", "list").code == Exit.REFUSED
    assert served("logout").out.strip() == "nobody was logged in"


async def test_a_logout_without_an_issuer_says_that_the_session_goes_on(desk: Desk) -> None:
    assert desk("init", "--operator", "ops", "--password-stdin", stdin=PASSWORD).code == Exit.OK
    with desk.process("serve") as process:
        await until_ready(desk.url, process)
        assert desk("login", "ops", "--password-stdin", stdin=PASSWORD).code == Exit.OK
    ran = desk("logout")
    assert ran.code == Exit.UNREACHABLE
    assert "ostraka revoke session" in ran.out
    assert not (desk.home / "session.json").exists()


async def test_what_the_broker_has_not_taken_is_committed_all_the_same(desk: Desk) -> None:
    desk.variables["OSTRAKA_KAFKA"] = f"127.0.0.1:{find_free_port()}"
    assert desk("init", "--operator", "ops", "--password-stdin", stdin=PASSWORD).code == Exit.OK
    with desk.process("serve") as process:
        await until_ready(desk.url, process)
        assert desk("login", "ops", "--password-stdin", stdin=PASSWORD).code == Exit.OK
        ran = desk("revoke", "permission", "x:y", "--reason", "test")
        assert ran.code == Exit.NOT_READY, ran
        assert "nobody held it" in ran.out
        assert "committed at feed position 1:3; the broker has not taken it yet" in ran.out
        ran = desk("keys", "rotate", "--json")
        assert ran.code == Exit.NOT_READY, ran
        assert ran.document["published"] is False
        listed = desk("keys", "list")
        assert max(map(len, listed.out.splitlines())) <= 80
        assert ran.document["signs_with"] in listed.out


async def test_every_kind_of_revocation(served: Desk) -> None:
    session = served("login", "ops", "--password-stdin", "--json", stdin=PASSWORD).document["session_id"]
    subject = next(u for u in served("users", "list", "--json").document["users"] if u["username"] == "alice")[
        "subject"
    ]
    for arguments in (
        ("token", "AAAAAAAAAAAAAAAAAAAAAA"),
        ("subject", "alice"),
        ("subject", subject, "--id"),
        ("session", session),
    ):
        ran = served("revoke", *arguments, "--reason", "test", "--json")
        assert ran.code == Exit.OK, ran
        assert ran.document["seq"] > 2
    ended = served("revoke", "subject", "alice", "--reason", "test")
    assert ended.code == Exit.REFUSED, "the session that was ended was one's own"
    assert "run: ostraka login ops" in ended.err
    served("login", "ops", "--password-stdin", stdin=PASSWORD)
    assert served("revoke", "client", "nobody", "--reason", "test").code == Exit.FAILED
    assert served("revoke", "all", "--reason", "test").code == Exit.USAGE
    everyone = served("revoke", "all", "--yes", "--reason", "test", "--json")
    assert everyone.document["sessions_ended"] >= 1
    assert served("keys", "list").code == Exit.REFUSED


async def test_keys_rotate_and_can_be_called_compromised(served: Desk) -> None:
    (first,) = served("keys", "list", "--json").document["keys"]
    rotated = served("keys", "rotate", "--lead", "3600", "--json").document
    keys = served("keys", "list", "--json").document["keys"]
    assert [key["state"] for key in keys] == ["active", "pre-activation"]
    assert keys[1]["kid"] == rotated["signs_with"]
    token = served.token_of("alice")
    compromised = served("keys", "compromise", first["kid"], "--reason", "backup lost")
    assert compromised.code == Exit.OK, compromised
    refused = served("verify", token, "--json")
    assert refused.code == Exit.REFUSED
    assert refused.document["error"] == "key_compromised"


async def test_watch_shows_the_verified_feed(served: Desk) -> None:
    served("revoke", "subject", "alice", "--reason", "left")
    ran = served("watch", "--json", "--count", "3")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    records = [line for line in lines if "event" in line]
    assert ran.code == Exit.OK, ran
    assert [record["seq"] for record in records] == [1, 2, 3]
    assert [record["event"] for record in records] == ["root document", "keys", "user cut off"]
    assert records[2]["reason"] == "left"
    assert records[2]["uri"].endswith("/session-revoked")
    assert records[2]["subject"] == {"format": "iss_sub", "iss": served.url, "sub": records[2]["about"]}
    assert records[2]["position"] == "1:3"
    assert len(records[2]["prev"]) == 43
    assert len(records[1]["content"]["keys"]) == 1


async def test_watch_goes_on_until_it_is_interrupted(served: Desk) -> None:
    with served.process("watch", "--json", "--new-only") as process:
        assert process.stdout is not None
        deadline = time.monotonic() + PATIENCE
        # A line about freshness says that it is ready; what was before is left out.
        first = json.loads(await asyncio.to_thread(process.stdout.readline))
        assert first["freshness"] == "fresh"
        served("revoke", "subject", "alice", "--reason", "left")
        line = json.loads(await asyncio.to_thread(process.stdout.readline))
        assert (line["seq"], line["event"]) == (3, "user cut off")
        process.send_signal(signal.SIGINT)
        while process.poll() is None:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        assert process.returncode == Exit.OK


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_serve_ends_in_order(desk: Desk, number: signal.Signals) -> None:
    desk("init")
    with desk.process("serve") as process:
        await until_ready(desk.url, process)
        assert process.stderr is not None
        line = ""
        while "publishing the feed on" not in line:
            line = await asyncio.to_thread(process.stderr.readline)
            assert line, "it ended without a word of it"
        assert desk.variables["OSTRAKA_FEED_TOPIC"] in line
        process.send_signal(number)
        _, err = await asyncio.to_thread(process.communicate, timeout=PATIENCE)
        assert process.returncode == 0, err
        assert "Traceback" not in err


async def test_serve_says_why_it_cannot(desk: Desk) -> None:
    assert "run: ostraka init" in run("serve", env=desk.variables).err
    desk("init")
    with desk.process("serve") as process:
        await until_ready(desk.url, process)
        second = run("serve", env=desk.variables)
        assert second.code == Exit.FAILED
        assert f"cannot listen on 127.0.0.1:{desk.port}" in second.err
    assert run("serve", "--log-level", "loud", env=desk.variables).code == Exit.USAGE


def test_verify_without_a_feed_decides_nothing(desk: Desk) -> None:
    desk("init")
    ran = desk("verify", "x.y.z", "--patience", "0.5")
    assert ran.code == Exit.NOT_READY
    assert "no record of the feed" in ran.err
    assert ran.out == ""


def test_verify_without_an_anchor(desk: Desk) -> None:
    ran = desk("verify", "x.y.z")
    assert ran.code == Exit.FAILED
    assert "anchor.json" in ran.err


def test_results_can_be_piped_into_something_that_stops_reading(desk: Desk) -> None:
    desk("init")
    arguments = " ".join(command("users", "list", "--json"))
    done = subprocess.run(
        ["sh", "-c", f"{arguments} | true"],
        env=environment(desk.variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert os.fspath(desk.home) not in done.stderr
