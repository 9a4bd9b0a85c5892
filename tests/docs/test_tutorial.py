"""The tutorial's commands, in its order."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from ostraka_issuer.desk.ports import find_free_port
from tests.cli.terminal import environment
from tests.desk.running import dev
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "tutorial" / "first-steps.md"
SECONDS = 170
CACHES = {"UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))}
PASSWORD = "correct horse battery staple"

INIT, USERS, SERVE, NEW_TERMINAL, TOKEN, CUT_OFF, KEYS = (block.text for block in blocks(PAGE, "bash"))


def bash(script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script],
        cwd=directory,
        # The issuer's home is made in the home directory; caches may stay where they are.
        env=environment({"HOME": str(directory), **CACHES}),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS)
def test_it_works_from_the_first_to_the_last_command(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(ROOT / "run")
    alice = f"export OSTRAKA_PASSWORD={shlex.quote(PASSWORD)}\n"
    # Another port: another desk may run on this machine.
    init = INIT.replace("8400", str(find_free_port()))
    made = bash(f"set -e\n{init}{alice}{USERS}", tmp_path)
    assert made.returncode == 0, made.stdout + made.stderr
    (ops_password,) = re.findall(r"operator ops, password (\S+)", made.stdout)
    assert "alice made: orders:create reports:read" in made.stdout

    home = tmp_path / "ostraka-home"
    assert SERVE.startswith("./run ostraka serve --kafka ")
    here, there = NEW_TERMINAL.splitlines()
    assert here == INIT.splitlines()[0]
    assert there == f"export OSTRAKA_KAFKA={SERVE.split()[-1]}"
    with dev("--home", str(home), temporary=tmp_path) as desk:
        start = f"source {shlex.quote(desk.found['settings'])}\n"
        login, *rest = CUT_OFF.splitlines()
        ops = f"export OSTRAKA_PASSWORD={shlex.quote(ops_password)}\n"
        told = [f"{line}; echo code=$?" for line in rest]
        done = bash("\n".join([f"{start}{alice}{TOKEN}{ops}{login}", *told, KEYS]), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"code=(\d+)", done.stdout) == ["0", "3", "0"]
    for question in re.findall(r"^    ✓ ([\w, :]+?)  ", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        for name in question.strip().split(", "):
            assert f"✓ {name}" in done.stdout
    assert "signs from" in done.stdout
    assert "pre-activation" in done.stdout
