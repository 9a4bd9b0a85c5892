"""Why a mutant may live: ``reasons.toml``, written by hand.

[[survivor]]
in = "module.Class.function"
now = ["the line as the mutant has it", "without: the line that it lacks"]
kind = "equivalent" or "not worth a test"
why = "..."
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .results import Mutant

KINDS: Final = ("equivalent", "not worth a test")
FILE: Final = Path(__file__).with_name("reasons.toml")


@dataclass(frozen=True)
class Reason:
    """What the mutants of one function with these changed lines have in common."""

    where: str
    changes: frozenset[str]
    kind: str
    why: str

    def covers(self, mutant: Mutant) -> bool:
        """Whether it speaks of that mutant."""
        return mutant.where == self.where and (mutant.now or f"without: {mutant.was}") in self.changes


def load(file: Path = FILE) -> list[Reason]:
    """All reasons."""
    entries = tomllib.loads(file.read_text())["survivor"] if file.exists() else []
    return [Reason(entry["in"], frozenset(entry["now"]), entry["kind"], entry["why"]) for entry in entries]


def match(survivors: Iterable[Mutant], reasons: Iterable[Reason]) -> dict[Mutant, Reason | None]:
    """Each survivor with the reason that covers it."""
    known = list(reasons)
    return {mutant: next((reason for reason in known if reason.covers(mutant)), None) for mutant in survivors}


def idle(survivors: Iterable[Mutant], reasons: Iterable[Reason]) -> list[str]:
    """Changes that a reason speaks of and that no survivor has: in words."""
    living = {(mutant.where, mutant.now or f"without: {mutant.was}") for mutant in survivors}
    return [
        f"{reason.where}: {change}"
        for reason in reasons
        for change in sorted(reason.changes)
        if (reason.where, change) not in living
    ]
