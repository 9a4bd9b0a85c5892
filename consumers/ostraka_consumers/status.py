"""How a verifier is, for probes, logs and people."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ostraka_schemas.records import Head, Position

from .intake import SourceStatus
from .persistence.keeper import StateStatus
from .trust.freshness import Freshness


@dataclass(frozen=True, slots=True)
class Status:
    """One look at a verifier.

    Attributes:
        ready: it has been at the head of the feed once and can decide.
        waiting_for: what is missing while it is not ready.
        freshness: how much it can vouch for.
        age: seconds since the newest moment that is vouched for; ``None`` before the first.
        head, known_head: how far the feed is applied, and how far it is known to go.
        alarms: names of what a person must look at.
        counters: how often each outcome occurred; what was refused is counted as ``refused.<reason>``, tokens
            that were refused as ``token.<code>``.
        sources: how each source is.
        denied, cutoffs, narrowings, keys, remembered: how much is held in memory.
        live: how many grants are watched.
        persisted: how the copy in the state directory is; ``None`` without one.
    """

    ready: bool
    waiting_for: str | None
    freshness: Freshness
    age: float | None
    head: Head | None
    known_head: Position | None
    alarms: tuple[str, ...]
    counters: Mapping[str, int]
    sources: Mapping[str, SourceStatus]
    denied: int
    cutoffs: int
    narrowings: int
    keys: int
    remembered: int
    live: int = 0
    persisted: StateStatus | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON types."""
        return {
            "ready": self.ready,
            "waiting_for": self.waiting_for,
            "freshness": self.freshness.value,
            "age": self.age,
            "head": None if self.head is None else list(self.head.position),
            "known_head": None if self.known_head is None else list(self.known_head),
            "alarms": list(self.alarms),
            "counters": dict(self.counters),
            "sources": {name: source.to_dict() for name, source in self.sources.items()},
            "denied": self.denied,
            "cutoffs": self.cutoffs,
            "narrowings": self.narrowings,
            "keys": self.keys,
            "remembered": self.remembered,
            "live": self.live,
            "persisted": None if self.persisted is None else self.persisted.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class IssuersStatus:
    """One look at a verifier of several issuers.

    Attributes:
        ready: it can decide about what it needs: tokens of every issuer, or of one.
        issuers: how each issuer's verifier is.
        counters: tokens that were refused before a verifier was chosen for them, as ``token.<code>``.
        remembered: of how many tokens it is kept who judges them.
    """

    ready: bool
    issuers: Mapping[str, Status]
    counters: Mapping[str, int]
    remembered: int

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON types."""
        return {
            "ready": self.ready,
            "issuers": {issuer: status.to_dict() for issuer, status in self.issuers.items()},
            "counters": dict(self.counters),
            "remembered": self.remembered,
        }
