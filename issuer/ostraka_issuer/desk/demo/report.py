"""What came out of a demo, for people and for machines."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from .measure import CutOff


class Ending(StrEnum):
    """How a step ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step found out.

    Attributes:
        facts: sentences for people.
        figures: the same and more for machines.
        cut_offs: how each service took the step's revocation.
    """

    facts: Sequence[str] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    cut_offs: Sequence[CutOff] = ()


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step. ``at`` and ``took`` are seconds, ``at`` since the demo's start; ``why`` says why not, if so."""

    name: str
    title: str
    ending: Ending
    at: float
    took: float
    outcome: Outcome = Outcome()
    why: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "step": self.name,
            "title": self.title,
            "ending": self.ending.value,
            "why": self.why,
            "at_seconds": round(self.at, 3),
            "took_seconds": round(self.took, 3),
            "facts": list(self.outcome.facts),
            **self.outcome.figures,
            "cut_offs": [asdict(cut) | {"milliseconds": round(cut.milliseconds, 1)} for cut in self.outcome.cut_offs],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The whole demo."""

    broker: str
    steps: Sequence[StepReport]
    seconds: float
    decisions: int

    @property
    def passed(self) -> bool:
        """Whether no step failed."""
        return bool(self.steps) and all(step.ending is not Ending.FAILED for step in self.steps)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "passed": self.passed,
            "broker": self.broker,
            "seconds": round(self.seconds, 3),
            "decisions": self.decisions,
            "steps": [step.to_dict() for step in self.steps],
        }
