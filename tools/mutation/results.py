"""What became of the mutants, read from mutmut's files."""

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import orig_function_and_class_names_from_key

from .stage import PACKAGE

KILLED: Final = frozenset({"killed", "timeout"})
"""A mutant that never ends is noticed as well."""


@dataclass(frozen=True)
class Mutant:
    """One changed place.

    Attributes:
        where: ``module.Class.function``.
        was, now: the changed lines; one of them is empty if lines were only taken away or put in.
    """

    name: str
    where: str
    status: str
    was: str = ""
    now: str = ""

    @property
    def module(self) -> str:
        """Name of the module."""
        return self.where.split(".", 1)[0]

    @property
    def killed(self) -> bool:
        """Whether a test noticed."""
        return self.status in KILLED


def read(stage: Path) -> list[Mutant]:
    """Every mutant, in the order of modules and functions; of those that live, what was changed."""
    found = []
    with contextlib.chdir(stage):
        for meta in sorted((Path("mutants") / PACKAGE).glob("*.meta")):
            codes: dict[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"]
            source = PACKAGE / meta.stem
            found += [_mutant(name, status_by_exit_code[code], source) for name, code in codes.items()]
    return found


def _mutant(name: str, status: str, source: Path) -> Mutant:
    function, class_name = orig_function_and_class_names_from_key(name)
    where = ".".join(part for part in (source.stem, class_name, function) if part)
    if status in KILLED:
        return Mutant(name, where, status)
    lines = get_diff_for_mutant(name, path=source).splitlines()[3:]
    return Mutant(name, where, status, _lines(lines, "-"), _lines(lines, "+"))


def _lines(lines: Iterable[str], mark: str) -> str:
    return " ".join(" ".join(line[1:].split()) for line in lines if line.startswith(mark))
