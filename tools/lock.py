"""Keeps the exact version of every dependency in the root ``pyproject.toml``.

``python -m tools.lock`` resolves the whole workspace, transitive dependencies, extras and groups included, and writes
the result between two marker lines as ``constraint-dependencies`` (and ``build-constraint-dependencies`` for what
builds the wheels). ``--upgrade`` resolves without the present versions. ``--check`` changes nothing and fails if the
block is not what the resolution gives.

The versions live here and not in a lock file because a lock file also lists the addresses of the registry it was made
with. The resolution happens in a temporary copy of the ``pyproject.toml`` files, as on a fresh clone, so that no lock
file lying about can bend it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN = "# >>> exact versions: written by `./run lock`, do not edit by hand"
END = "# <<< exact versions"
RESOLVE_SECONDS = 300

_REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;]+)(\s*;\s*(?P<marker>.+))?$")


class LockError(Exception):
    """The block cannot be read, written or resolved; the message says what to do."""


def parse_requirements(text: str) -> list[str]:
    """Reads a requirements listing and returns ``name==version [; marker]`` lines, sorted, without duplicates.

    Raises:
        LockError: a line is not an exact version.
    """
    lines: set[str] = set()
    for raw in text.splitlines():
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        match = _REQUIREMENT.match(line)
        if match is None:
            raise LockError(f"expected name==version, got {line!r}; is an index or a path listed as a dependency?")
        marker = f" ; {match['marker'].strip()}" if match["marker"] else ""
        lines.add(f"{match['name'].lower()}=={match['version']}{marker}")
    return sorted(lines)


def render_block(constraints: Sequence[str], build_constraints: Sequence[str]) -> str:
    """Returns the TOML text between (and with) the marker lines, ending in a newline."""
    return (
        f"{BEGIN}\n"
        f"{_render_list('constraint-dependencies', constraints)}"
        f"{_render_list('build-constraint-dependencies', build_constraints)}"
        f"{END}\n"
    )


def _render_list(key: str, values: Iterable[str]) -> str:
    # A TOML literal string would be simpler to read, but markers contain single quotes.
    return f"{key} = [\n" + "".join(f'    "{value}",\n' for value in values) + "]\n"


def replace_block(document: str, block: str) -> str:
    """Returns the document with its marked block replaced and every other byte as it was.

    Raises:
        LockError: the document does not hold the two marker lines once each, in order.
    """
    if document.count(BEGIN + "\n") != 1 or document.count(END + "\n") != 1:
        raise LockError(f"pyproject.toml must hold the line {BEGIN!r} and the line {END!r} once each, under [tool.uv]")
    head, rest = document.split(BEGIN + "\n")
    if END + "\n" not in rest:
        raise LockError(f"in pyproject.toml the line {END!r} stands before {BEGIN!r}; put them in order")
    return head + block + rest.split(END + "\n")[1]


def differences(present: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Says in words, one line each, how the present versions differ from the wanted ones."""
    have, want = set(present), set(wanted)
    return [f"missing: {line}" for line in sorted(want - have)] + [f"stale:   {line}" for line in sorted(have - want)]


def read_block(document: str) -> tuple[list[str], list[str]]:
    """Returns the constraints and build constraints that the document holds now."""
    settings = tomllib.loads(document).get("tool", {}).get("uv", {})
    return list(settings.get("constraint-dependencies", [])), list(settings.get("build-constraint-dependencies", []))


def resolve(document: str, root: Path = ROOT) -> tuple[list[str], list[str]]:
    """Resolves the workspace as the document describes it; its own constraints count.

    Returns:
        The exact versions of everything that is installed, and of everything that builds the wheels.

    Raises:
        LockError: uv is missing, or finds no solution (its own words are in the message).
    """
    members = tomllib.loads(document)["tool"]["uv"]["workspace"]["members"]
    with tempfile.TemporaryDirectory(prefix="ostraka-lock-") as name:
        copy = Path(name)
        (copy / "pyproject.toml").write_text(document, encoding="utf-8")
        build_requirements: set[str] = set()
        for member in members:
            (copy / member).mkdir()
            text = (root / member / "pyproject.toml").read_text(encoding="utf-8")
            (copy / member / "pyproject.toml").write_text(text, encoding="utf-8")
            build_requirements.update(tomllib.loads(text)["build-system"]["requires"])
        plain = ["--no-hashes", "--no-header", "--no-annotate", "--quiet"]
        everything = ["--all-packages", "--all-groups", "--all-extras", "--no-emit-workspace"]
        constraints = parse_requirements(_uv(["export", *everything, *plain], copy))
        (copy / "build.in").write_text("\n".join(sorted(build_requirements)) + "\n", encoding="utf-8")
        # The build needs nothing that the development group does not pin already: take the versions from there.
        (copy / "constraints.txt").write_text("\n".join(constraints) + "\n", encoding="utf-8")
        compile_build = ["pip", "compile", "build.in", "--universal", "--python-version=3.11", "-c", "constraints.txt"]
        return constraints, parse_requirements(_uv([*compile_build, *plain[1:]], copy))


def _uv(arguments: Sequence[str], directory: Path) -> str:
    # `uv run` tells its children where uv is; a bare call needs it on the path.
    program = os.environ.get("UV") or shutil.which("uv")
    if program is None:
        raise LockError("uv was not found; call this through `./run lock`")
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    command = [program, *arguments, "--python", sys.executable]
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=RESOLVE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LockError(f"uv gave no answer within {RESOLVE_SECONDS} s; is the package index reachable?") from error
    if done.returncode != 0:
        raise LockError(f"uv {arguments[0]} failed:\n{done.stderr.strip()}")
    return done.stdout


def check(path: Path) -> None:
    """Raises LockError, naming each difference, unless the block is what the resolution gives."""
    document = path.read_text(encoding="utf-8")
    present, present_build = read_block(document)
    wanted, wanted_build = resolve(document)
    wrong = differences(present, wanted) + differences(present_build, wanted_build)
    if not wrong and replace_block(document, render_block(wanted, wanted_build)) != document:
        wrong = ["the block is not formatted as `./run lock` writes it"]
    if wrong:
        listing = "\n".join(f"  {line}" for line in wrong)
        raise LockError(f"the exact versions in pyproject.toml are out of date; run `./run lock`:\n{listing}")


def rewrite(path: Path, *, upgrade: bool) -> list[str]:
    """Writes the block anew and returns what changed, in words."""
    document = path.read_text(encoding="utf-8")
    present = read_block(document)[0]
    basis = replace_block(document, render_block([], [])) if upgrade else document
    wanted, wanted_build = resolve(basis)
    path.write_text(replace_block(document, render_block(wanted, wanted_build)), encoding="utf-8")
    return differences(present, wanted)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code: 0 done, 1 out of date or failed."""
    parser = argparse.ArgumentParser(prog="./run lock", description="Pin every dependency's exact version.")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="change nothing; fail if the versions are out of date")
    choice.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    options = parser.parse_args(arguments)
    path = ROOT / "pyproject.toml"
    try:
        if options.check:
            check(path)
            print("exact versions: up to date")
            return 0
        changed = rewrite(path, upgrade=options.upgrade)
    except LockError as error:
        print(f"lock: {error}", file=sys.stderr)
        return 1
    print("\n".join(changed) if changed else "exact versions: nothing to change")
    return 0


if __name__ == "__main__":
    sys.exit(main())
