"""What was tried, and what became of it. Times are seconds since the epoch, as this process saw them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ATTEMPTS_MAX: Final = 200_000
"""A demo makes some ten thousand; a stream that never ends must not fill the memory."""


class Verdict(StrEnum):
    """What a service said."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(slots=True)
class Attempt:
    """One order, report or request, carrying one token.

    Attributes:
        service: who was asked.
        permission: what it takes.
        holder: whose token it was.
        token: which of the holder's tokens, counted from 1.
        sent_at: when it left here.
        seen_at: when the verdict was seen here, ``None`` so far.
        reason: the machine name of a refusal.
    """

    service: str
    permission: str
    holder: str
    token: int
    sent_at: float
    seen_at: float | None = None
    verdict: Verdict | None = None
    reason: str | None = None


class Notes:
    """Every attempt, in the order of sending."""

    def __init__(self) -> None:
        self._attempts: list[Attempt] = []

    def __iter__(self) -> Iterator[Attempt]:
        return iter(self._attempts)

    def __len__(self) -> int:
        return len(self._attempts)

    def take(self, attempt: Attempt) -> int:
        """Note an attempt; returns its number.

        Raises:
            OverflowError: there are too many.
        """
        if len(self._attempts) >= ATTEMPTS_MAX:
            raise OverflowError(f"more than {ATTEMPTS_MAX} attempts")
        self._attempts.append(attempt)
        return len(self._attempts) - 1

    def settle(self, number: int, verdict: Verdict, seen_at: float, reason: str | None = None) -> None:
        """Note a verdict; only the first one counts, since a topic may be read twice."""
        if 0 <= number < len(self._attempts) and self._attempts[number].verdict is None:
            attempt = self._attempts[number]
            attempt.verdict, attempt.seen_at, attempt.reason = verdict, seen_at, reason

    def since(self, number: int) -> Iterable[Attempt]:
        """The attempts from ``number`` on."""
        return self._attempts[number:]
