"""Conclusions from the notes. Pure: nothing here knows how they were taken."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .attempts import Attempt, Verdict

Which = Callable[[Attempt], bool]


@dataclass(frozen=True, slots=True)
class CutOff:
    """How a service took a revocation.

    Attributes:
        service: which one.
        milliseconds: from the revocation's commit to the first refusal seen here.
        accepted_after_commit: attempts sent after the commit and accepted; it takes time to hear of it.
        accepted_after_refusal: attempts sent after the first refusal was seen, and accepted. Must be 0.
        refused: refusals since the commit.
        reasons: what the refusals said.
    """

    service: str
    milliseconds: float
    accepted_after_commit: int
    accepted_after_refusal: int
    refused: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many attempts came to which end."""

    accepted: int = 0
    refused: int = 0
    failed: int = 0
    pending: int = 0

    @property
    def decided(self) -> int:
        """How many got a verdict of a verifier."""
        return self.accepted + self.refused


def tally(attempts: Iterable[Attempt]) -> Tally:
    """Count."""
    verdicts = [attempt.verdict for attempt in attempts]
    return Tally(
        accepted=verdicts.count(Verdict.ACCEPTED),
        refused=verdicts.count(Verdict.REFUSED),
        failed=verdicts.count(Verdict.FAILED),
        pending=verdicts.count(None),
    )


def cut_off(attempts: Iterable[Attempt], service: str, committed_at: float) -> CutOff | None:
    """How ``service`` took a revocation committed at ``committed_at``; ``None`` if it has refused nothing since.

    ``attempts`` are those that the revocation should end, and no others.
    """
    asked = [attempt for attempt in attempts if attempt.service == service]
    refusals = [
        a for a in asked if a.verdict is Verdict.REFUSED and a.seen_at is not None and a.seen_at >= committed_at
    ]
    if not refusals:
        return None
    first = min(attempt.seen_at for attempt in refusals if attempt.seen_at is not None)
    accepted = [attempt.sent_at for attempt in asked if attempt.verdict is Verdict.ACCEPTED]
    return CutOff(
        service=service,
        milliseconds=(first - committed_at) * 1000,
        accepted_after_commit=sum(sent >= committed_at for sent in accepted),
        accepted_after_refusal=sum(sent > first for sent in accepted),
        refused=len(refusals),
        reasons=tuple(sorted({attempt.reason or "?" for attempt in refusals})),
    )
