"""What the rules share: how a violation is told, and how a history is read."""

from collections.abc import Iterator
from typing import NamedTuple

from ostraka_schemas.records import Position

from ..history import Decision, Delivery, History, Seen


class Violation(NamedTuple):
    """A rule that did not hold, at which step, and how."""

    rule: str
    step: int
    how: str

    def __str__(self) -> str:
        return f"{self.rule} (step {self.step + 1}): {self.how}"


Found = Iterator[tuple[Seen, str]]
"""Where a rule broke, and how."""


def decisions(history: History) -> Iterator[Decision]:
    """Every token that was presented."""
    return (seen for seen in history.seen if isinstance(seen, Decision))


def deliveries(history: History) -> Iterator[Delivery]:
    """Everything that was delivered."""
    return (seen for seen in history.seen if isinstance(seen, Delivery))


def stands(history: History, seen: Seen) -> Position:
    """How far it is; a root document that opens an epoch takes it to before the first record there."""
    root = history.truth.named.get(seen.look.root)
    return seen.look.position if seen.look.head or root is None else Position(root.epoch, 0)
