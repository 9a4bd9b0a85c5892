"""Cut-offs and narrowings: what happened to whom, and at which feed position.

A cut-off kills the tokens minted before it; the latest of all that apply to a token decides (issuer, client, subject,
session). A narrowing takes permissions from the tokens minted before it; all later ones apply.

"Before" is the feed position in the token (``fv``), so no two clocks are compared. A token without one, of a foreign
issuer, falls back to its ``iat``: minted in the second of the cut-off or earlier, it is dead.
"""

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from ostraka_consumers.limits import HOLDER_WEIGHT
from ostraka_schemas.permissions import covered_by_any, overlaps
from ostraka_schemas.records import Position
from ostraka_schemas.snapshots import Level


class Key(NamedTuple):
    """Whom it is about."""

    level: Level
    id: str


ISSUER = Key("issuer", "")


class Moment(NamedTuple):
    """When something happened: the record's position, and its ``iat`` for tokens that carry no position."""

    position: Position
    iat: int


class Minted(NamedTuple):
    """When a token was minted: its ``fv`` if it has one, and its ``iat``."""

    fv: Position | None
    iat: int

    def before(self, moment: Moment) -> bool:
        """Whether the token is older than ``moment``."""
        return self.iat <= moment.iat if self.fv is None else self.fv < moment.position


class _Expiry:
    """Keys in the order in which they may be forgotten."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, Key]] = []

    def add(self, key: Key, expires: float) -> None:
        heappush(self._heap, (expires, key))

    def due(self, now: float) -> list[Key]:
        due = []
        while self._heap and self._heap[0][0] < now:
            due.append(heappop(self._heap)[1])
        return due


class Cutoffs:
    """The latest cut-off for each of those who were cut off."""

    def __init__(self) -> None:
        self._latest: dict[Key, tuple[Moment, float]] = {}
        self._expiry = _Expiry()

    def add(self, key: Key, moment: Moment, expires: float) -> None:
        """Remember a cut-off until ``expires`` (seconds since the epoch)."""
        before = self._latest.get(key)
        if before is not None:
            # Later in position and later in time are kept apart, should an issuer's clock have stepped back.
            moment = Moment(max(before[0].position, moment.position), max(before[0].iat, moment.iat))
            expires = max(before[1], expires)
        else:
            self._expiry.add(key, expires)
        self._latest[key] = (moment, expires)

    def absorb(self, other: "Cutoffs") -> None:
        """Take everything from another collection, which must not be used any more."""
        if not self._latest:
            self._latest, self._expiry = other.release()
            return
        for key, moment, expires in other.kept():
            self.add(key, moment, expires)

    def release(self) -> "tuple[dict[Key, tuple[Moment, float]], _Expiry]":
        """Give away what it is made of."""
        return self._latest, self._expiry

    def kept(self) -> list[tuple[Key, Moment, float]]:
        """What is remembered now, each with the time until which it is kept."""
        return [(key, moment, expires) for key, (moment, expires) in self._latest.items()]

    def hit(self, minted: Minted, keys: Sequence[Key]) -> Key | None:
        """The first of ``keys`` that was cut off after the token was minted."""
        if not self._latest:
            return None
        for key in keys:
            found = self._latest.get(key)
            if found is not None and minted.before(found[0]):
                return key
        return None

    @property
    def weight(self) -> int:
        """How much there is to remember."""
        return HOLDER_WEIGHT * len(self)

    def __len__(self) -> int:
        return len(self._latest)

    def forget(self, now: float) -> None:
        """Drop what can meet no living token any more."""
        for key in self._expiry.due(now):
            expires = self._latest[key][1]
            if expires < now:
                del self._latest[key]
            else:  # cut off again since; one entry a key, however often
                self._expiry.add(key, expires)


class Narrowing(NamedTuple):
    """What is left, or what was taken, since ``moment``; kept until ``expires`` (seconds since the epoch)."""

    moment: Moment
    expires: float
    patterns: tuple[str, ...]


class Narrowings:
    """What was taken from older tokens: permissions of one holder, or one permission from everyone."""

    def __init__(self) -> None:
        self._remaining: dict[Key, list[Narrowing]] = {}
        self._revoked: list[Narrowing] = []
        self._expiry = _Expiry()
        self._kept = 0
        self._patterns = 0

    def keep_only(self, key: Key, patterns: Sequence[str], moment: Moment, expires: float) -> None:
        """Older tokens of ``key`` keep at most ``patterns``."""
        self._remaining.setdefault(key, []).append(Narrowing(moment, expires, tuple(patterns)))
        self._kept += 1
        self._patterns += len(patterns)
        self._expiry.add(key, expires)

    def revoke(self, pattern: str, moment: Moment, expires: float) -> None:
        """No older token of anyone carries what ``pattern`` covers."""
        self._revoked.append(Narrowing(moment, expires, (pattern,)))

    def absorb(self, other: "Narrowings") -> None:
        """Take everything that is not here yet from another collection, which must not be used any more."""
        known = {(key, entry.moment, entry.patterns) for key, entry in self.remaining()}
        for key, entry in other.remaining():
            if (key, entry.moment, entry.patterns) not in known:
                self.keep_only(key, entry.patterns, entry.moment, entry.expires)
        gone = {(entry.moment, entry.patterns) for entry in self._revoked}
        self._revoked += [entry for entry in other.revoked() if (entry.moment, entry.patterns) not in gone]

    @property
    def weight(self) -> int:
        """How much there is to remember: each narrowing, and each pattern that is left in one."""
        return HOLDER_WEIGHT * len(self) + self._patterns

    def remaining(self) -> list[tuple[Key, Narrowing]]:
        """What holders were left with, as remembered now."""
        return [(key, entry) for key, entries in self._remaining.items() for entry in entries]

    def revoked(self) -> list[Narrowing]:
        """What was taken from everyone, as remembered now: one pattern each."""
        return list(self._revoked)

    def allow(self, permission: str, minted: Minted, keys: Sequence[Key]) -> bool:
        """Whether a token minted then, of a holder known by ``keys``, still carries ``permission``."""
        for entry in self._revoked:
            if minted.before(entry.moment) and overlaps(entry.patterns[0], permission):
                return False
        if not self._remaining:
            return True
        return all(
            covered_by_any(entry.patterns, permission)
            for key in keys
            for entry in self._remaining.get(key, ())
            if minted.before(entry.moment)
        )

    def __len__(self) -> int:
        return len(self._revoked) + self._kept

    def forget(self, now: float) -> None:
        """Drop what can meet no living token any more."""
        self._revoked = [entry for entry in self._revoked if entry.expires >= now]
        for key in self._expiry.due(now):
            before = self._remaining.get(key, [])
            left = [entry for entry in before if entry.expires >= now]
            self._kept -= len(before) - len(left)
            self._patterns -= sum(len(entry.patterns) for entry in before if entry.expires < now)
            if left:
                self._remaining[key] = left
            else:
                self._remaining.pop(key, None)
