"""``ostraka dev``: everything starts, says where it is, and leaves nothing behind however it ends."""

import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from ostraka_issuer.cli.exits import Exit
from ostraka_issuer.desk.ports import find_free_port
from tests.cli.terminal import Ran, command, environment, run
from tests.desk.leftovers import until_gone
from tests.desk.running import Desk, dev
from tests.kafka.broker import Broker

PATIENCE = 60.0

pytestmark = pytest.mark.slow


def at_the_desk(desk: Desk, *arguments: str) -> Ran:
    return run(*arguments, env=desk.variables)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_everything_it_started(number: signal.Signals, tmp_path: Path) -> None:
    with dev(temporary=tmp_path) as desk:
        pids = desk.found["processes"]
        assert set(pids) == {"broker", "issuer", "orders handler", "orders api"}
        desk.process.send_signal(number)
        out, err = desk.process.communicate(timeout=PATIENCE)
        assert desk.process.returncode == Exit.OK, err
        assert out == "", "one document and nothing else"
        assert "Traceback" not in err
        until_gone(pids.values())
    assert list(tmp_path.iterdir()) == [], "no directory is left either"


def test_the_commands_it_prints_can_be_pasted(tmp_path: Path) -> None:
    with dev(temporary=tmp_path) as desk:
        source, *rest = desk.found["commands"]
        # Two of them end otherwise: the refusal is the point of one, the other one goes on until Ctrl-C.
        assert rest[-1] == "ostraka watch"
        script = [source, *rest[:-1], "echo verified=$?", "ostraka watch --count 1"]
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            env=environment({}),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert '"placed_by"' in done.stdout
    assert f"verified={Exit.REFUSED.value}" in done.stdout
    assert "root document" in done.stdout


def test_kill_9_takes_everything_with_it(tmp_path: Path) -> None:
    with dev(temporary=tmp_path) as desk:
        desk.process.kill()
        desk.process.wait()
        until_gone(desk.found["processes"].values())


def test_a_part_that_dies_ends_the_rest_and_is_named(tmp_path: Path) -> None:
    with dev(temporary=tmp_path) as desk:
        os.kill(desk.found["processes"]["orders api"], signal.SIGKILL)
        _, err = desk.process.communicate(timeout=PATIENCE)
        assert desk.process.returncode == Exit.FAILED
        assert "orders api ended with exit code -9" in err
        until_gone(desk.found["processes"].values())


def test_a_signal_while_it_starts(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("dev", "--json"),
        env=environment({"TMPDIR": str(tmp_path)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = ""
        while "the issuer and the orders services" not in line:
            line = process.stderr.readline()
            assert line
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == Exit.OK, err
        assert out == ""
        assert "Traceback" not in err
    finally:
        process.kill()
        process.communicate()
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_is_kept_goes_on_where_it_was(tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    temporary.mkdir()
    with dev("--home", str(home), temporary=temporary) as first:
        assert first.found["home"] == str(home)
        assert at_the_desk(first, "login", "operator").code == Exit.OK
        done = at_the_desk(first, "revoke", "subject", "bob", "--reason", "test", "--json")
        assert done.code == Exit.OK, done
        first.process.send_signal(signal.SIGINT)
        first.process.communicate(timeout=PATIENCE)
    with dev("--home", str(home), temporary=temporary) as second:
        assert second.found["issuer"] == first.found["issuer"]
        assert second.found["password"] is None, "it is that of the first time, and known nowhere"
        assert second.found["users"] == []
        watched = at_the_desk(second, "watch", "--json", "--count", str(done.document["seq"]))
        assert watched.code == Exit.OK, watched
        last = [json.loads(line) for line in watched.out.splitlines() if "event" in line][-1]
        assert (last["seq"], last["event"]) == (done.document["seq"], "user cut off")


@pytest.mark.true_kafka
def test_it_runs_on_a_kafka_that_is_there(kafka: Broker, tmp_path: Path) -> None:
    with dev("--kafka", kafka.bootstrap, temporary=tmp_path) as desk:
        assert desk.found["kafka"] == kafka.bootstrap
        assert "broker" not in desk.found["processes"]
        assert at_the_desk(desk, "login", "operator").code == Exit.OK
        desk.process.send_signal(signal.SIGINT)
        desk.process.communicate(timeout=PATIENCE)
        assert desk.process.returncode == Exit.OK
        until_gone(desk.found["processes"].values())


def test_an_issuer_that_cannot_listen_is_not_taken_for_the_one_that_answers_there(tmp_path: Path) -> None:
    with dev(temporary=tmp_path) as first:
        port = first.found["issuer"].rpartition(":")[2]
        ran = run("dev", "--issuer-port", port, env={"TMPDIR": str(tmp_path)}, seconds=PATIENCE)
    assert ran.code == Exit.FAILED
    assert f"cannot listen on 127.0.0.1:{port}" in ran.err


def test_a_kafka_that_is_not_there(tmp_path: Path) -> None:
    begun = time.monotonic()
    ran = run("dev", "--json", "--kafka", "127.0.0.1:1", env={"TMPDIR": str(tmp_path)}, seconds=PATIENCE)
    assert ran.code == Exit.FAILED
    assert "127.0.0.1:1 does not answer" in ran.err
    assert ran.out == ""
    assert time.monotonic() - begun < PATIENCE


def test_a_home_of_another_machine(tmp_path: Path) -> None:
    variables = {"TMPDIR": tempfile.gettempdir()}
    home = str(tmp_path / "home")
    assert run("init", "--home", home, "--issuer", "https://id.example.com", env=variables).code == Exit.OK
    ran = run("dev", "--home", home, env=variables)
    assert ran.code == Exit.FAILED
    assert "https://id.example.com" in ran.err


def test_a_home_with_other_people_is_shown_with_their_names(tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    temporary.mkdir()
    variables = {"OSTRAKA_HOME": str(home), "TMPDIR": str(temporary)}
    url = f"http://127.0.0.1:{find_free_port()}"
    made = run("init", "--issuer", url, "--operator", "o'hara", "--profile", "dev", env=variables)
    assert made.code == Exit.OK, made
    with dev("--home", str(home), temporary=temporary) as desk:
        assert "ostraka login 'o'\"'\"'hara'" in desk.found["commands"]
        assert "TOKEN=$(ostraka login NAME --show-token)" in desk.found["commands"], "nobody there may order"
        assert not [command for command in desk.found["commands"] if "login operator" in command]


@pytest.mark.parametrize("command_name", ["dev", "demo"])
def test_an_address_that_is_none_is_refused_before_anything_starts(command_name: str, tmp_path: Path) -> None:
    ran = run(command_name, "--kafka", "localhost", env={"TMPDIR": str(tmp_path)})
    assert ran.code == Exit.USAGE
    assert "host:port" in ran.err
    assert list(tmp_path.iterdir()) == []
