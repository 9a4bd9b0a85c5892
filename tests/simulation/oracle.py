"""What is right, from the rules' words alone: no chain, no buckets, no memory, nothing forgotten.

``Ear`` knows what a verifier was told and when; the functions know what the issuer's changes mean for a token.
"""

from collections.abc import Iterable

from ostraka_consumers.clock import Instant
from ostraka_schemas.records import Position

from .truth import Beat, Change, Minted

TOLERANCE = 10
AGREED_FOR = 60
SILENCE = 15
NOWHERE = Position(0, 0)


class Ear:
    """What one verifier was told in one life.

    Three rules of time: it is the wall clock, but never before a heartbeat's time and what went by since. A heartbeat
    is from the future if it is further ahead of the wall clock than clocks may differ, the wall clock being taken as it
    ran on since the heartbeats before. Once wall clock and heartbeats have agreed for a minute, without a silence in
    between, only they count; but the time does not fall further behind the wall clock as it ran than clocks may differ.
    """

    def __init__(self) -> None:
        self._lead = self._steady = float("-inf")
        self._newest = (0, NOWHERE)
        self._agreed_since: float | None = None
        self._heard_at = float("-inf")
        self._beats: list[Beat] = []
        self.known = NOWHERE
        self.latest = 0

    def now(self, at: Instant) -> float:
        """The time it should judge by."""
        return max(at.wall, self._lead + at.monotonic)

    def is_from_the_future(self, iat: int, at: Instant) -> bool:
        """Whether a heartbeat counts for nothing."""
        return iat > max(at.wall, self._steady + at.monotonic) + TOLERANCE

    def hear(self, beat: Beat, at: Instant) -> None:
        """A genuine heartbeat came. One that is older than the newest tells nothing."""
        if self.is_from_the_future(beat.iat, at) or (beat.iat, beat.head.position) <= self._newest:
            return
        self._newest = beat.iat, beat.head.position
        self.latest = max(self.latest, beat.iat)
        self._steady = max(self._steady, at.wall - at.monotonic)
        silent = at.monotonic - self._heard_at > SILENCE
        self._heard_at = at.monotonic
        if abs(at.wall - beat.iat) > TOLERANCE:
            self._agreed_since = None
        elif self._agreed_since is None or silent:
            self._agreed_since = at.monotonic
        agreed = self._agreed_since is not None and at.monotonic - self._agreed_since >= AGREED_FOR
        lead = min(self._lead, self._steady - TOLERANCE) if agreed else self._lead
        self._lead = max(lead, beat.iat - at.monotonic)
        self._beats.append(beat)
        self.known = max(self.known, beat.head.position)

    def was_set_back(self, at: Instant) -> bool:
        """Whether the wall clock is further behind itself, as it ran, than clocks may differ."""
        return self._steady + at.monotonic > at.wall + TOLERANCE

    def begin_again(self) -> None:
        """What came so far was a copy, or of a former epoch: it has shown the time, and vouches for nothing."""
        self._beats.clear()
        self._newest = (0, NOWHERE)

    def vouched(self, position: Position) -> int | None:
        """The latest time that a heartbeat of this epoch names whose head is reached."""
        epoch = position.epoch
        return max(
            (beat.iat for beat in self._beats if beat.head.position <= position and beat.head.position.epoch == epoch),
            default=None,
        )


def covers(pattern: str, permission: str) -> bool:
    """Part by part: the same word, or a star in the pattern."""
    return all(p in ("*", w) for p, w in zip(pattern.split(":"), permission.split(":"), strict=True))


def meets(first: str, second: str) -> bool:
    """Part by part: the same word, or a star in either."""
    return all(a == b or "*" in (a, b) for a, b in zip(first.split(":"), second.split(":"), strict=True))


def is_older(token: Minted, change: Change) -> bool:
    """Minted before the change: by the feed's position; before the change has one, every token is."""
    return change.position is None or token.fv < change.position


def kills(change: Change, token: Minted) -> bool:
    """Whether the token is dead once the change is known."""
    if change.root is not None:
        return token.fv.epoch < change.root.epoch
    match change.kind:
        case "token" | "tokens":
            return change.who == token.jti
        case "subject":
            return change.who == token.sub and is_older(token, change)
        case "session":
            return change.who == token.sid and is_older(token, change)
        case "client":
            return change.who == token.client and is_older(token, change)
        case "everyone":
            return is_older(token, change)
        case "keys":
            return f"{token.key}:compromised" in change.what
    return False


def takes(change: Change, token: Minted, permission: str) -> bool:
    """Whether the token does not carry the permission any more once the change is known."""
    if change.kind == "permission":
        return is_older(token, change) and meets(change.who, permission)
    if change.kind == "narrow":
        return (
            change.who == token.sub and is_older(token, change) and not any(covers(p, permission) for p in change.what)
        )
    return False


def carries(token: Minted, permission: str) -> bool:
    """Whether the token was minted with it."""
    return any(covers(pattern, permission) for pattern in token.permissions)


def key_state(changes: Iterable[Change], number: int, epoch: int) -> str | None:
    """The state of a token key after these changes; an epoch begins without keys, and compromised stays compromised."""
    sets = [c for c in changes if c.kind == "keys"]
    states = [dict(entry.split(":") for entry in change.what) for change in sets]
    if not sets or sets[-1].position is None or sets[-1].position.epoch != epoch or str(number) not in states[-1]:
        return None
    return "compromised" if any(s.get(str(number)) == "compromised" for s in states) else states[-1][str(number)]


def up_to(changes: Iterable[Change], position: Position) -> list[Change]:
    """The changes that whoever has applied the feed up to there knows of."""
    return [change for change in changes if change.position is not None and change.position <= position]
