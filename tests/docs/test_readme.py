"""Every command and snippet of the README does what the README says."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.cli.terminal import environment
from tests.desk.running import dev
from tests.docs.pages import ROOT, blocks

README = ROOT / "README.md"
SECONDS = 170

DEMO = "./run demo\n"
TEST = "./run test\n"
DEV = "./run ostraka dev\n"
DOCKER = (
    "docker compose up --build --wait && docker compose exec issuer python examples/tour.py http://orders-api:8401\n"
)


def bash(script: str, *, variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=ROOT,
        env=environment(variables or {}),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def by_hand() -> str:
    (script,) = [block.text for block in blocks(README, "bash") if "TOKEN=" in block.text]
    return script


def test_every_block_is_one_that_is_run_here() -> None:
    assert [block.text for block in blocks(README, "bash")] == [DEMO, TEST, DEV, by_hand(), DOCKER]
    assert {block.language for block in blocks(README)} == {"bash", "python"}


@pytest.mark.parametrize("name", ["orders_api.py", "orders_handler.py"])
def test_snippets_are_the_examples(name: str) -> None:
    # The examples themselves run in tests/examples.
    text = (ROOT / "examples" / name).read_text(encoding="utf-8")
    snippets = [block.text for block in blocks(README, "python")]
    assert len(snippets) == 2
    # Whole but for the words at the top: pasted into a file, a snippet runs.
    assert sum(text.endswith(f'"""\n\n{snippet}') for snippet in snippets) == 1
    lines = [line for snippet in snippets if snippet in text for line in snippet.splitlines()]
    code = [line for line in lines if line and not line.startswith(("import ", "from ", ")"))]
    assert len(code) <= 20, "the README promises twenty lines"


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 30)
def test_the_demo() -> None:
    done = bash(DEMO)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every step did what it says" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 30)
def test_the_test_command_finds_the_tests() -> None:
    # It is running this: here it only has to find itself.
    done = bash(f"{TEST.strip()} --collect-only -q {shlex.quote(str(Path(__file__).relative_to(ROOT)))}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_readme.py::test_the_demo" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 30)
def test_by_hand(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed; on Debian: apt-get install curl")
    with dev(temporary=tmp_path) as desk:
        done = bash(
            f"source {shlex.quote(desk.found['settings'])}\n" + by_hand().replace("ostraka verify", "! ostraka verify")
        )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    told = ['"order":1,"placed_by"', "cut off: permission orders:create", '"code":"permission_denied"', "✗ permission"]
    assert [part for part in told if part not in said] == [], said
    assert sorted(told, key=said.index) == told
    assert "permission revoked  orders:create" in said


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 30)
def test_dev_prints_the_line_to_paste_and_the_commands(tmp_path: Path) -> None:
    process = subprocess.Popen(
        ["bash", "-c", f"exec {DEV}"],
        cwd=ROOT,
        env=environment({"TMPDIR": str(tmp_path)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines: list[str] = []
        while not any("ostraka watch" in line for line in lines):
            line = process.stdout.readline()
            assert line, lines
            lines.append(line.strip())
        (source,) = [line for line in lines if line.startswith("source ")]
        assert Path(shlex.split(source)[1]).stat().st_mode & 0o077 == 0
        process.terminate()
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.communicate()


def test_the_docker_line_names_what_is_there() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    words = shlex.split(DOCKER)
    assert words[words.index("exec") + 1] in services
    assert (ROOT / "examples" / "tour.py").exists()
    host, _, port = words[-1].removeprefix("http://").partition(":")
    assert services[host]["environment"]["OSTRAKA_HTTP_PORT"] == port
    assert "COPY examples" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_run_can_be_run() -> None:
    assert os.access(ROOT / "run", os.X_OK)
