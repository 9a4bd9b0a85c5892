"""What is right, from the rules' words alone: no chain, no buckets, no memory, nothing forgotten.

``Ear`` knows what a verifier was told and when; the functions know what the issuer's changes mean for a token.
"""

from collections.abc import Iterable

from ostraka_consumers.clock import Instant
from ostraka_schemas.records import Position

from .truth import Beat, Change, Minted

TOLERANCE = 10
NOWHERE = Position(0, 0)


class Ear:
    """What one verifier was told in one life."""

    def __init__(self) -> None:
        self._lead = float("-inf")
        self._beats: list[Beat] = []
        self.known = NOWHERE
        self.told_of_the_future = False

    def now(self, at: Instant) -> float:
        """Time is the wall clock, but never before a heartbeat's time and what went by since."""
        return max(at.wall, self._lead + at.monotonic)

    def hear(self, beat: Beat, at: Instant) -> None:
        """A genuine heartbeat came. From further ahead than clocks may differ it counts for nothing."""
        if beat.iat > self.now(at) + TOLERANCE:
            self.told_of_the_future = True
            return
        self._lead = max(self._lead, beat.iat - at.monotonic)
        self._beats.append(beat)
        self.known = max(self.known, beat.head.position)

    def vouched(self, position: Position) -> int | None:
        """The latest time that a heartbeat names whose head is reached."""
        return max((beat.iat for beat in self._beats if beat.head.position <= position), default=None)


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


def key_state(changes: Iterable[Change], number: int) -> str | None:
    """The state of a token key after these changes; compromised stays compromised as long as it is named at all."""
    states = [dict(entry.split(":") for entry in change.what) for change in changes if change.kind == "keys"]
    if not states or str(number) not in states[-1]:
        return None
    return "compromised" if any(s.get(str(number)) == "compromised" for s in states) else states[-1][str(number)]


def up_to(changes: Iterable[Change], position: Position) -> list[Change]:
    """The changes that whoever has applied the feed up to there knows of."""
    return [change for change in changes if change.position is not None and change.position <= position]
