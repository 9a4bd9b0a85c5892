"""compose.yaml and the Dockerfile, as far as they can be judged without a Docker daemon."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ostraka_issuer.settings import IssuerSettings
from tests.deploy import compose
from tests.kafka.jars import kafka_version
from tests.postgres.container import IMAGE as POSTGRES_IMAGE

PINNED = re.compile(r"^[^:@]+:\d+\.\d+(\.\d+)?[^:]*$")
OWN_VARIABLES = {"OSTRAKA_ANCHOR"}
"""Read by the example services, not by the issuer."""


def test_a_checker_reads_it() -> None:
    command = compose.checker()
    if command is None:
        pytest.skip(
            "neither `docker compose` nor `docker-compose` is installed; on Debian: apt-get install docker-compose"
        )
    done = subprocess.run(
        [*command, "-f", str(compose.COMPOSE), "config"],
        capture_output=True,
        text=True,
        timeout=compose.CHECKER_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == set(compose.services())


def test_it_holds_the_whole_system() -> None:
    assert {"kafka", "postgres", "issuer", "orders-handler", "orders-api"} <= set(compose.services())


@pytest.mark.parametrize("name", compose.services())
def test_images_are_pinned(name: str) -> None:
    assert PINNED.match(compose.services()[name]["image"])


def test_base_images_and_uv_are_pinned() -> None:
    arguments = dict(rest.split("=", 1) for kind, rest in compose.instructions() if kind == "ARG" and "=" in rest)
    bases = [rest.split()[0] for kind, rest in compose.instructions() if kind == "FROM"]
    for base in bases:
        image = re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], base)
        assert PINNED.match(image), image
    version = re.search(r'^UV_VERSION = "([^"]+)"', (compose.ROOT / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    assert arguments["UV_VERSION"] == version[1], "`run` and the Dockerfile pin different versions of uv"


def test_kafka_is_the_version_that_the_tests_run_on() -> None:
    assert compose.services()["kafka"]["image"] == f"apache/kafka:{kafka_version()}"


def test_postgres_is_the_version_that_the_tests_run_on_in_a_container() -> None:
    assert compose.services()["postgres"]["image"] == POSTGRES_IMAGE


def test_the_image_does_not_run_as_root() -> None:
    users = [rest for kind, rest in compose.final_stage() if kind == "USER"]
    assert users
    assert users[-1].split(":")[0] not in ("root", "0")
    assert not [name for name, service in compose.services().items() if "user" in service]


@pytest.mark.parametrize("name", compose.ours())
def test_our_containers_can_do_little(name: str) -> None:
    service = compose.services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service


@pytest.mark.parametrize("name", compose.services())
def test_ports_are_open_on_this_machine_only(name: str) -> None:
    assert all(str(port).startswith("127.0.0.1:") for port in compose.services()[name].get("ports", []))


def test_the_image_asks_for_its_health() -> None:
    checks = [rest for kind, rest in compose.final_stage() if kind == "HEALTHCHECK"]
    assert len(checks) == 1
    assert "/healthz" in checks[0]


def test_whoever_is_waited_for_can_be_healthy() -> None:
    services = compose.services()
    for name, service in services.items():
        for other, wait in service.get("depends_on", {}).items():
            disabled = services[other].get("healthcheck", {}).get("disable", False)
            asked = "build" in services[other] or "test" in services[other].get("healthcheck", {})
            if wait["condition"] == "service_healthy":
                assert asked, f"{name} waits for the health of {other}, which has no check"
                assert not disabled, f"{name} waits for the health of {other}, which has none"


def test_private_keys_stay_with_the_issuer() -> None:
    services = compose.services()
    assert {name for name in services if any("home:" in volume for volume in volumes(services[name]))} == {
        "init",
        "issuer",
    }
    writers = {name for name in services if "anchor:/anchor" in volumes(services[name])}
    assert writers == {"init"}


def volumes(service: dict[str, Any]) -> list[str]:
    return [str(volume) for volume in service.get("volumes", [])]


@pytest.mark.parametrize("name", compose.ours())
def test_variables_are_known(name: str) -> None:
    known = {f"OSTRAKA_{field.upper()}" for field in IssuerSettings.model_fields} | OWN_VARIABLES
    used = {key for key in compose.entry_command(name).env if key.startswith("OSTRAKA_")}
    assert used <= known


@pytest.mark.parametrize("name", compose.ours())
def test_the_entry_command_is_one_that_exists(name: str) -> None:
    entry = compose.entry_command(name)
    argv, _ = entry.here({})
    assert shutil.which(argv[0]), argv[0]
    scripts = [word for word in argv[1:] if word.endswith(".py")]
    if scripts and not (compose.ROOT / "examples").is_dir():
        pytest.skip("the folder examples/ is not there")
    assert all((compose.ROOT / script).is_file() for script in scripts), scripts


def test_the_first_start_makes_the_home_once_and_hands_out_the_anchor(tmp_path: Path) -> None:
    # The real command, with a stand-in for `ostraka` that counts its calls.
    home, anchor, programs = tmp_path / "home", tmp_path / "anchor.json", tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    stand_in = programs / "ostraka"
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\necho "{{}}" > "$OSTRAKA_HOME/anchor.json"\n')
    stand_in.chmod(0o755)
    argv, environment = compose.entry_command("init").here({"OSTRAKA_HOME": str(home), "OSTRAKA_ANCHOR": str(anchor)})
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    for _ in range(2):
        subprocess.run(argv, env=environment, timeout=30, check=True)
    assert (tmp_path / "calls").read_text().splitlines() == ["init --profile dev"]
    assert anchor.read_text() == "{}\n"


def test_the_health_check_runs_here() -> None:
    check = next(rest for kind, rest in compose.final_stage() if kind == "HEALTHCHECK")
    command: list[str] = yaml.safe_load(check[check.index("CMD") + len("CMD") :])
    assert command[:2] == ["python", "-c"]
    # Nothing listens on port 1: the check must fail, and because of that.
    done = subprocess.run(
        [sys.executable, *command[1:]],
        env={"OSTRAKA_HTTP_PORT": "1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    assert "refused" in done.stderr
