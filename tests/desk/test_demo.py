"""``ostraka demo``: the story runs, twice in a row, on the embedded broker and on whatever Kafka there is."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from ostraka_issuer.cli.exits import Exit
from tests.cli.terminal import Ran, command, environment, run
from tests.kafka.broker import Broker
from tests.kafka.fixtures import OwnKafka
from tests.kafka.runner import ApacheKafka

STEPS = ["start", "login", "orders", "permission", "grant", "keys", "outage", "subject"]
SECONDS = 150

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * SECONDS + 30)]


async def list_topics(bootstrap: str) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return {name for name in await admin.list_topics() if not name.startswith("__")}
    finally:
        await admin.close()


def demo(*arguments: str, temporary: Path) -> Ran:
    return run("demo", *arguments, env={"TMPDIR": str(temporary)}, seconds=SECONDS)


def steps_of(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["step"]: step for step in document["steps"]}


def see_that_the_story_is_true(document: dict[str, Any]) -> None:
    steps = steps_of(document)
    assert document["passed"] is True
    assert {name: step["ending"] for name, step in steps.items() if step["ending"] == "failed"} == {}
    assert steps["orders"]["accepted"] >= 80
    assert steps["orders"]["refused"] == 0
    assert steps["permission"]["reports_accepted"] >= 20
    assert steps["permission"]["reports_refused"] == 0
    assert {cut["service"] for cut in steps["permission"]["cut_offs"]} == {"orders handler", "orders api"}
    assert {tuple(cut["reasons"]) for cut in steps["permission"]["cut_offs"]} == {("permission_denied",)}
    assert steps["keys"]["rotations"] == 3
    assert steps["keys"]["refused"] == 0
    assert {tuple(cut["reasons"]) for cut in steps["subject"]["cut_offs"]} == {("revoked",)}
    assert len(steps["subject"]["cut_offs"]) == 3
    for step in steps.values():
        for cut in step["cut_offs"]:
            assert cut["accepted_after_refusal"] == 0
            assert cut["refused"] >= 40
            assert cut["milliseconds"] > 0


def test_it_runs_twice_in_a_row_on_the_embedded_broker(tmp_path: Path) -> None:
    first = demo("--json", temporary=tmp_path)
    assert first.code == Exit.OK, first.out + first.err
    see_that_the_story_is_true(first.document)
    assert [step["step"] for step in first.document["steps"]] == STEPS
    outage = steps_of(first.document)["outage"]
    assert outage["ending"] == "passed"
    assert outage["decisions_without_broker"] >= 200

    second = demo(temporary=tmp_path)
    assert second.code == Exit.OK, second.out + second.err
    assert len(re.findall(r"committed → refused +\d+\.\d ms", second.out)) == 5
    assert "every step did what it says" in second.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.true_kafka
async def test_it_runs_on_a_kafka_that_is_there_and_leaves_no_topic(kafka: Broker, tmp_path: Path) -> None:
    before = await list_topics(kafka.bootstrap)
    ran = demo("--json", "--kafka", kafka.bootstrap, temporary=tmp_path)
    assert ran.code == Exit.OK, ran.out + ran.err
    see_that_the_story_is_true(ran.document)
    outage = steps_of(ran.document)["outage"]
    assert outage["ending"] == "skipped"
    assert "--kafka-pid" in outage["why"]
    assert await list_topics(kafka.bootstrap) - before == set()


async def test_a_kafka_whose_process_is_known_is_frozen(own_kafka: OwnKafka, tmp_path: Path) -> None:
    broker = await own_kafka()
    if not isinstance(broker, ApacheKafka):
        pytest.skip(f"needs a Kafka whose process id is known; there is {broker.kind}")
    ran = demo("--json", "--kafka", broker.bootstrap, "--kafka-pid", str(broker.pid), temporary=tmp_path)
    assert ran.code == Exit.OK, ran.out + ran.err
    see_that_the_story_is_true(ran.document)
    assert steps_of(ran.document)["outage"]["decisions_without_broker"] >= 200


def test_a_process_without_a_kafka_is_a_mistake() -> None:
    assert run("demo", "--kafka-pid", "12345", env={}).code == Exit.USAGE


def test_ctrl_c_ends_it_without_a_trace(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("demo"),
        env=environment({"TMPDIR": str(tmp_path)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        while "Her orders flow" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == Exit.INTERRUPTED
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_fails_is_named_and_fails_the_demo(tmp_path: Path) -> None:
    # The second step is replaced by one that fails; everything around it is real.
    program = (
        "from ostraka_issuer.desk.demo import steps\n"
        "from ostraka_issuer.desk.errors import StoryError\n"
        "async def broken(world):\n"
        "    raise StoryError('not so: on purpose')\n"
        "steps.orders_flow = broken\n"
        "from ostraka_issuer.cli import app\n"
        "app(['demo', '--json'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment({"TMPDIR": str(tmp_path)}),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    document = json.loads(done.stdout)
    assert done.returncode == Exit.FAILED
    assert document["passed"] is False
    assert document["steps"][-1] | {"why": "not so: on purpose", "ending": "failed"} == document["steps"][-1]
    (kept,) = tmp_path.iterdir()
    assert str(kept) in done.stderr
    assert (kept / "issuer.log").exists()
