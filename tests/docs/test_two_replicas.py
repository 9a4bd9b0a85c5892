"""The commands of docs/how-to/two-replicas.md, in its order."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ostraka_issuer.desk.ports import find_free_port
from tests.cli.terminal import environment
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "two-replicas.md"
SECONDS = 150
NOWHERE = "127.0.0.1:1"
"""No broker answers there."""

INIT, TWO, STOP, ROLES = (block.text for block in blocks(PAGE, "bash"))
(SHARED,) = (block.text for block in blocks(PAGE, "ini"))


@contextmanager
def shell(directory: Path, variables: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """A shell that keeps its background processes until the end of the block."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (directory / "shell.log").open("w") as log:
        process = subprocess.Popen(
            ["bash", "-e"],
            cwd=directory,
            env=environment({**variables, "PATH": path}),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def run(script: str, directory: Path, variables: Mapping[str, str]) -> str:
    """Run ``script`` to its end, and then end what it left in the background; returns what was said."""
    with shell(directory, variables) as process:
        try:
            process.communicate(f"trap 'kill $(jobs -p) || true' EXIT\n{script}\n", timeout=SECONDS)
        except subprocess.TimeoutExpired:
            # The trap runs, and so ends the background processes.
            process.terminate()
            process.wait(SECONDS)
    said = (directory / "shell.log").read_text()
    assert process.returncode == 0, said
    return said


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_it_works_from_the_first_to_the_last_command(tmp_path: Path, empty_postgres: str) -> None:
    names = {line.partition("=")[0] for line in SHARED.splitlines()}
    secret = tmp_path / "secret"
    variables = {
        "OSTRAKA_HOME": str(tmp_path / "home"),
        "OSTRAKA_PASSWORD_PROFILE": "unsafe-for-tests",
        "OSTRAKA_DATABASE": empty_postgres,
        "OSTRAKA_KEY_STORE": "database",
        "OSTRAKA_SECRET_KEY_FILE": str(secret),
        "OSTRAKA_KAFKA": NOWHERE,
    }
    assert names <= set(variables)
    new_secret = "import secrets, sys; from ostraka_schemas import base64url as b; "
    made = subprocess.run(
        [sys.executable, "-c", f"{new_secret}sys.stdout.buffer.write(b.encode(secrets.token_bytes(32)))"],
        capture_output=True,
        check=True,
    )
    secret.write_bytes(made.stdout)
    secret.chmod(0o600)
    script = "\n".join([INIT, "mv root.pem away.pem", TWO, STOP, ROLES])
    for port in sorted(set(re.findall(r"\b840[1-4]\b", script))):
        script = script.replace(port, str(find_free_port()))
    run(script, tmp_path, variables)

    first, second, api = (_read(tmp_path / f"{name}.json") for name in ("first", "second", "api"))
    assert (first["role"], second["role"], api["role"]) == ("all", "all", "api")
    assert (first["lease"]["held"], second["lease"]["held"], api["lease"]["held"]) == (True, False, False)
    assert first["lease"]["holder"] == second["lease"]["holder"] != api["lease"]["holder"]
    assert api["lease"]["fence"] > first["lease"]["fence"]


def _read(path: Path) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(path.read_text())
    return body
