"""Reads compose.yaml and the Dockerfile, and says what a service's container would run, so that it can be run here."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "compose.yaml"
DOCKERFILE = ROOT / "Dockerfile"
CHECKER_SECONDS = 60

_SCRIPTS = Path(sys.executable).parent
"""Where this environment's commands lie; in the image they are on the path as well."""


@dataclass(frozen=True)
class Entry:
    """What a container runs.

    Attributes:
        argv: the command, as the image sees it.
        env: the image's and the service's variables; paths are the container's.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]

    def here(self, replaced: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
        """Returns the command and the whole environment for running it on this machine, from the repository's root.

        Args:
            replaced: values for this machine, by name of the variable, such as another OSTRAKA_HOME.
        """
        program = shutil.which(self.argv[0], path=str(_SCRIPTS)) or shutil.which(self.argv[0]) or self.argv[0]
        variables = {**self.env, **replaced}
        variables["PATH"] = f"{_SCRIPTS}{os.pathsep}{os.environ.get('PATH', '')}"
        return [program, *self.argv[1:]], {**os.environ, **variables}


def services() -> dict[str, dict[str, Any]]:
    """Returns the services of compose.yaml, with merged anchors."""
    document = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    result: dict[str, dict[str, Any]] = document["services"]
    return result


def ours() -> list[str]:
    """Returns the names of the services that run the image built here."""
    return [name for name, service in services().items() if "build" in service]


def instructions() -> list[tuple[str, str]]:
    """Returns the Dockerfile's instructions, in order: name and the rest of the line, continuations joined."""
    lines = [line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(name.upper(), rest.strip()) for name, rest in found]


def final_stage() -> list[tuple[str, str]]:
    """Returns the instructions from the last FROM on."""
    steps = instructions()
    last = max(index for index, (name, _) in enumerate(steps) if name == "FROM")
    return steps[last:]


def image_environment() -> dict[str, str]:
    """Returns the variables that the final stage sets."""
    pairs = [word.split("=", 1) for name, rest in final_stage() if name == "ENV" for word in shlex.split(rest)]
    return {key: value for key, value in pairs if key != "PATH"}


def entry_command(service: str) -> Entry:
    """Returns what the container of one of our services runs."""
    settings = services()[service]
    command = settings.get("command") or yaml.safe_load(dict(final_stage())["CMD"])
    # `$$` is how compose.yaml writes a dollar sign that is not for compose.
    argv = tuple(str(word).replace("$$", "$") for word in command)
    own = {key: str(value) for key, value in settings.get("environment", {}).items()}
    return Entry(argv, {**image_environment(), **own})


def checker() -> list[str] | None:
    """Returns the command that reads compose files on this machine, or None. Neither needs a Docker daemon."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) is None:
            continue
        probe = subprocess.run([*command, "version"], capture_output=True, timeout=CHECKER_SECONDS, check=False)
        if probe.returncode == 0:
            return command
    return None
