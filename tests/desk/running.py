"""A desk that runs for a test, as ``ostraka dev`` starts it."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostraka_issuer.desk.ports import find_free_port
from tests.cli.terminal import command, environment


@dataclass(frozen=True)
class Desk:
    """The process, what it said, and the variables that lead other commands to it."""

    process: subprocess.Popen[str]
    found: dict[str, Any]

    @property
    def variables(self) -> dict[str, str]:
        names = {"OSTRAKA_HOME": "home", "OSTRAKA_KAFKA": "kafka", "OSTRAKA_FEED_TOPIC": "feed_topic"}
        values = {name: str(self.found[key]) for name, key in names.items()}
        return values | ({"OSTRAKA_PASSWORD": self.found["password"]} if self.found["password"] else {})


@contextmanager
def dev(*arguments: str, temporary: Path) -> Iterator[Desk]:
    """Start one and wait until it says that it runs; it is killed at the end if it still does."""
    # Ports of its own: another desk may run on this machine.
    ports = ["--issuer-port", str(find_free_port()), "--api-port", str(find_free_port())]
    process = subprocess.Popen(
        command("dev", "--json", *ports, *arguments),
        env=environment({"TMPDIR": str(temporary)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()
        yield Desk(process, json.loads(line))
    finally:
        process.kill()
        process.communicate()
