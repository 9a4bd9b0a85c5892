"""Runs the command: in this process where that is enough, as a process where it is not."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from ostraka_issuer.cli import app

SECONDS = 60


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document that must be everything on standard output."""
        (line,) = self.out.splitlines()
        document: dict[str, Any] = json.loads(line)
        return document


def invoke(*arguments: str, env: Mapping[str, str] | None = None, stdin: str = "") -> Ran:
    result = CliRunner().invoke(app, list(arguments), env=dict(env or {}), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def invoke_beside(*arguments: str, env: Mapping[str, str], stdin: str = "") -> Ran:
    """The same from a test that runs in an event loop; the command has one of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(invoke, *arguments, env=env, stdin=stdin).result()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ostraka_issuer", *arguments]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, with our variables and no others of that kind."""
    foreign = {name: value for name, value in os.environ.items() if not name.startswith("OSTRAKA_")}
    return {**foreign, **variables}


def run(*arguments: str, env: Mapping[str, str], stdin: str = "", seconds: float = SECONDS) -> Ran:
    done = subprocess.run(
        command(*arguments),
        env=environment(env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
