"""What a refresh token is good for: the rules alone, without database and clock.

Rules of refresh (RFC 9700 §4.14.2, FAPI 2.0 §5.3.2.1):

1. A refresh token is used by raising the session's generation from its own to the next.
2. The token just used works again for ``REFRESH_GRACE`` seconds and gives the same successor: an answer may get lost.
3. Any other token proves that two parties hold the family, or that the database is an older copy: the session ends,
   and the feed says so.

It is the generation that counts, an integer: not when a token was made, nor when a process began.
"""

from enum import Enum, auto
from typing import NamedTuple

from ostraka_issuer.limits import GENERATION_MAX, REFRESH_GRACE, SESSION_IDLE, SESSION_TOTAL


class Family(NamedTuple):
    """A session's refresh tokens. Times are seconds since the epoch.

    Attributes:
        generation: of the one that is good.
        created_at, used_at, rotated_at: of the login, of the last refresh, and of the last raise.
    """

    generation: int
    created_at: float
    used_at: float
    rotated_at: float


class Verdict(Enum):
    """What is to be done with a refresh token."""

    ROTATE = auto()
    """It is the one that is good: raise the generation."""

    REPEAT = auto()
    """It is the one just used: give its successor again."""

    EXPIRED = auto()
    """The session has lived, or slept, for too long."""

    REUSED = auto()
    """It was used before: end the session."""


def judge(family: Family, generation: int, now: float) -> Verdict:
    """What is to be done with the refresh token of ``generation`` at ``now`` (seconds since the epoch)."""
    if now > family.used_at + SESSION_IDLE or now > family.created_at + SESSION_TOTAL:
        return Verdict.EXPIRED
    if generation == family.generation < GENERATION_MAX:
        return Verdict.ROTATE
    # A clock that was set back must not lengthen the grace.
    if generation == family.generation - 1 and abs(now - family.rotated_at) <= REFRESH_GRACE:
        return Verdict.REPEAT
    return Verdict.REUSED


def ends_at(family: Family) -> float:
    """When the refresh token that is good ends if it is not used, seconds since the epoch."""
    return min(family.used_at + SESSION_IDLE, family.created_at + SESSION_TOTAL)
