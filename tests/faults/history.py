"""What the verifiers of a scene decided, moment by moment, and the promises that it is held against.

Every check is a pure function of the histories and of what was done to the verifiers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from tests.faults.deciding import ACCEPTED

FRESH = "fresh"
REVOKED = "revoked"
NOT_READY = "not_ready"
WITHOUT_NEWS = frozenset({"stale", NOT_READY})
"""Refusals that say nothing about the token: the verifier does not know enough."""
WRONG_TIME = WITHOUT_NEWS | {"expired", "not_yet_valid"}
"""What a verifier may say whose clock is wrong, or whose issuer's is."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a verifier's diary.

    Attributes:
        at: when it was true, in seconds since the epoch, by the machine's clock.
        before: when it was last asked before that.
        decisions: what each token got.
        head: epoch, seq and hash, or ``None``.
        rss: bytes of memory.
        kept: epoch and seq up to which its copy on disk leads, or ``None``.
    """

    at: float
    before: float
    decisions: Mapping[str, str]
    freshness: str
    ready: bool
    head: tuple[int, int, str] | None
    counters: Mapping[str, int]
    alarms: Sequence[str]
    sources: Mapping[str, str]
    rss: int
    kept: tuple[int, int] | None = None

    @classmethod
    def read(cls, line: Mapping[str, Any]) -> "Moment":
        """From the line."""
        pairs = {name: None if line[name] is None else tuple(line[name]) for name in ("head", "kept")}
        return cls(**{**line, **pairs})

    @property
    def refused(self) -> int:
        """How many bad records were counted."""
        return sum(count for name, count in self.counters.items() if name.startswith("refused."))


History = Sequence[Moment]
Histories = Mapping[str, History]


@dataclass(frozen=True, slots=True)
class Revocation:
    """A token that was revoked, and when that was committed, by the machine's clock."""

    token: str
    committed_at: float


@dataclass(slots=True)
class Window:
    """When refusals for want of news are to be expected from some verifiers: a fault, and the time to heal.

    Attributes:
        names: the verifiers; everyone if there are none.
        reasons: what may be given as the reason.
    """

    names: frozenset[str]
    begin: float
    end: float = float("inf")
    reasons: frozenset[str] = WITHOUT_NEWS

    def covers(self, name: str, stretch: "Stretch", reason: str) -> bool:
        """Whether it explains what a verifier did."""
        concerned = reason in self.reasons and (not self.names or name in self.names)
        return concerned and self.begin <= stretch.moment.at and stretch.until <= self.end


class Stretch(NamedTuple):
    """A moment and until when it is known to have lasted."""

    moment: Moment
    until: float


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that a scene is judged by.

    Attributes:
        steady: tokens that nobody revoked.
    """

    histories: Histories
    steady: frozenset[str]
    revocations: Sequence[Revocation]
    windows: Sequence[Window] = field(default_factory=list)


def stretches(history: History) -> Iterator[Stretch]:
    """Each moment with its end: the last time the verifier was asked before the next one."""
    for moment, following in pairwise(history):
        yield Stretch(moment, max(moment.at, following.before))
    if history:
        yield Stretch(history[-1], history[-1].at)


def last_accepted(history: History, token: str) -> float | None:
    """When the token was last accepted."""
    found = [s.until for s in stretches(history) if s.moment.decisions.get(token) == ACCEPTED]
    return found[-1] if found else None


def worst_accept(story: Story) -> float:
    """The most seconds after its revocation that any token was accepted by anybody; 0 if none was."""
    late = [
        at - revocation.committed_at
        for history in story.histories.values()
        for revocation in story.revocations
        if (at := last_accepted(history, revocation.token)) is not None
    ]
    return max([0.0, *late])


def ready_at(history: History) -> float:
    """When the verifier was ready for the first time."""
    return next((moment.at for moment in history if moment.ready), float("inf"))


def wrong_refusals(story: Story) -> list[str]:
    """Refusals of good tokens: for a reason other than want of news, or for that where there was no fault.

    Who has never been ready yet has to refuse, and is only just starting.
    """
    return [
        f"{name} refused {token}: {reason}"
        for name, history in story.histories.items()
        for stretch in stretches(history)
        for token, reason in stretch.moment.decisions.items()
        if token in story.steady and reason != ACCEPTED
        if not (reason == NOT_READY and stretch.moment.at < ready_at(history))
        if not any(window.covers(name, stretch, reason) for window in story.windows)
    ]


def taken_back(story: Story) -> list[str]:
    """Revoked tokens that were accepted again by a verifier that had known better."""
    found = []
    for name, history in story.histories.items():
        known: set[str] = set()
        for moment in history:
            found += [f"{name} accepted {token} again" for token in known if moment.decisions.get(token) == ACCEPTED]
            known |= {token for token, reason in moment.decisions.items() if reason == REVOKED}
    return found


def backward_heads(histories: Histories) -> list[str]:
    """Positions that went back within one verifier."""
    found = []
    for name, history in histories.items():
        heads = [moment.head[:2] for moment in history if moment.head is not None]
        found += [f"{name} went back from {a} to {b}" for a, b in pairwise(heads) if b < a]
    return found


def contradictions(histories: Histories) -> list[str]:
    """Positions that had two contents."""
    contents: dict[tuple[int, int], str] = {}
    found = []
    for moment in (moment for history in histories.values() for moment in history):
        if moment.head is not None:
            position = moment.head[:2]
            if contents.setdefault(position, moment.head[2]) != moment.head[2]:
                found.append(f"two contents at {position}")
    return found


def longest_pause(history: History) -> float:
    """The most seconds in which the verifier was not asked: its event loop stood still."""
    return max((b.at - max(a.at, b.before) for a, b in pairwise(history)), default=0.0)


def memory_growth(history: History, since: float) -> int:
    """By how many bytes its memory grew, at most, from what it was at ``since``."""
    sizes = [moment.rss for moment in history if moment.at >= since]
    return max(sizes) - sizes[0] if sizes else 0


def all_alarms(histories: Histories) -> set[str]:
    """Every alarm that anybody raised."""
    return {alarm for history in histories.values() if history for alarm in history[-1].alarms}


def broken_promises(story: Story, *, bound: float, may_alarm: Iterable[str] = ()) -> list[str]:
    """Everything in which a story breaks what holds in every one; ``bound``: seconds a revoked token may live on."""
    worst = worst_accept(story)
    late = [f"a token was accepted {worst:.1f} s after its revocation, the bound is {bound:.0f} s"]
    alarms = all_alarms(story.histories) - set(may_alarm)
    return [
        *(late if worst > bound else []),
        *_some(wrong_refusals(story)),
        *_some(taken_back(story)),
        *_some(backward_heads(story.histories)),
        *_some(contradictions(story.histories)),
        *(f"alarm {alarm}" for alarm in sorted(alarms)),
    ]


def _some(found: Sequence[str]) -> list[str]:
    """The different ones, and not too many of them."""
    return list(dict.fromkeys(found))[:5]
