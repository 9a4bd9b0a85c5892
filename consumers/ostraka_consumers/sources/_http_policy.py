"""When the HTTP source asks again, anew or for a snapshot. Pure: time and chance are handed in.

Nothing here decides about trust. Every rule leads at worst to records that are delivered twice.
"""

import math
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

from ostraka_consumers import limits
from ostraka_schemas.records import Position


@dataclass(frozen=True, slots=True)
class HttpTiming:
    """How patient an ``HttpSource`` is, in seconds. The defaults and their reasons stand in ``limits``."""

    silence_max: float = limits.SOURCE_SILENCE_MAX
    check_every: float = limits.SOURCE_CHECK_EVERY
    incomplete_max: float = limits.SOURCE_INCOMPLETE_MAX
    reread_min: float = limits.SOURCE_REREAD_MIN
    reread_max: float = limits.SOURCE_REREAD_MAX
    retry_min: float = limits.HTTP_RETRY_MIN
    retry_max: float = limits.HTTP_RETRY_MAX
    retry_after_max: float = limits.HTTP_RETRY_AFTER_MAX
    steady: float = limits.SOURCE_STEADY
    connect_every: float = limits.HTTP_CONNECT_EVERY
    connect_max: float = limits.HTTP_CONNECT_MAX
    answer_max: float = limits.HTTP_ANSWER_MAX
    roots_max: float = limits.HTTP_ROOTS_MAX
    roots_every: float = limits.HTTP_ROOTS_EVERY
    snapshot_max: float = limits.HTTP_SNAPSHOT_MAX
    poll_wait: int = limits.HTTP_POLL_WAIT
    poll_every: float = limits.HTTP_POLL_EVERY
    poll_max: float = limits.HTTP_POLL_MAX


class Allowance:
    """So many at once and so many a second, of what should hardly occur."""

    def __init__(self, most: float, rate: float, now: float) -> None:
        self._most: Final = most
        self._rate: Final = rate
        self._left = most
        self._at = now

    def take(self, now: float) -> bool:
        """Take one; whether there was one."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Remedy(Enum):
    """What to do about records that are missing."""

    AGAIN = auto()
    SNAPSHOT = auto()


class Gaps:
    """First ask again after what is applied; if that does not help take a snapshot; then ever more seldom.

    Outlives connections.
    """

    def __init__(self, timing: HttpTiming) -> None:
        self._timing: Final = timing
        self._tried = 0
        self._next = -math.inf

    def remedy(self, now: float) -> Remedy | None:
        """What is to be done now, if it is time for it; it then counts as tried."""
        if now < self._next:
            return None
        self._tried += 1
        if self._tried == 1:
            return Remedy.AGAIN
        self._next = now + min(self._timing.reread_min * 2.0 ** min(self._tried - 2, 32), self._timing.reread_max)
        return Remedy.SNAPSHOT

    def nothing_missing(self) -> None:
        """It helped, or something else did."""
        self._tried, self._next = 0, -math.inf


class Trouble(NamedTuple):
    """Why to connect anew.

    Attributes:
        at_once: nobody is at fault who would have to be spared.
        snapshot: and take a snapshot first.
        retry_after: seconds of patience the server asked for.
    """

    reason: str
    at_once: bool = False
    snapshot: bool = False
    retry_after: float | None = None


class Look(NamedTuple):
    """One look at how following goes.

    Attributes:
        reached: the furthest record that this connection brought; what others bring is no sign of its life.
        roots_due: a key or epoch is unknown, and it is time to ask about it.
    """

    now: float
    silence: float
    incomplete: bool
    reached: Position | None
    roots_due: bool


class Watch:
    """Watches one connection from when it was opened, at ``opened_at``."""

    def __init__(self, timing: HttpTiming, gaps: Gaps, opened_at: float) -> None:
        self._timing: Final = timing
        self._gaps: Final = gaps
        self._moved_at = opened_at
        self._incomplete_since: float | None = None
        self._reached: Position | None = None

    def trouble(self, look: Look) -> Trouble | None:
        """What is wrong, if anything."""
        if look.reached != self._reached:
            # Getting on with a backlog is neither silence nor a gap.
            self._reached, self._moved_at, self._incomplete_since = look.reached, look.now, None
        if look.roots_due:
            return Trouble("a key or an epoch is not known yet; asking for root documents", at_once=True)
        return self._silent(look) or self._incomplete(look)

    def _silent(self, look: Look) -> Trouble | None:
        silence = min(look.silence, look.now - self._moved_at)
        if silence <= self._timing.silence_max:
            return None
        return Trouble(f"no verified heartbeat for {silence:.0f} s")

    def _incomplete(self, look: Look) -> Trouble | None:
        if not look.incomplete:
            self._incomplete_since = None
            self._gaps.nothing_missing()
            return None
        if self._incomplete_since is None:
            self._incomplete_since = look.now
        if look.now - self._incomplete_since <= self._timing.incomplete_max:
            return None
        match self._gaps.remedy(look.now):
            case Remedy.AGAIN:
                return Trouble("records are missing; asking again", at_once=True)
            case Remedy.SNAPSHOT:
                return Trouble("records are missing; taking a snapshot", at_once=True, snapshot=True)
        return None
