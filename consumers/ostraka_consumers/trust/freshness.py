"""How much a verifier can vouch for, judged only by signed heartbeats.

The issuer reads its clock, then the committed head, then signs. So whoever has applied everything up to the head of a
heartbeat knows every revocation that was committed before its ``iat``. The age of the newest such heartbeat is the age
of the verifier's knowledge. The bus is not in the argument.

Time is ``max(wall clock, newest heartbeat's iat + monotonic time since)``: a slow clock cannot lengthen a token's life.
It does not go back when a later heartbeat was long on its way; only if wall clock and heartbeats have agreed for a
while that it is ahead does it come back to them, after an issuer's clock ran fast and was put right; and never further
than the clock tolerance behind the wall clock as it has run, for who decides which heartbeats come is the bus.

A heartbeat more than the clock tolerance ahead is not believed, or a fast issuer could lend freshness it does not have.
It is held against the wall clock as it has run since the heartbeats before, so setting the wall clock back ends
nothing, and one heartbeat does not make room for the next one further ahead.

Whose clock is wrong cannot be known here, but that one is can: heartbeats from the future, a wall clock behind the
signed time, or heartbeats that come in step with the time and yet every one of them too old.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from ostraka_consumers.limits import CLOCK_STEP_TOLERANCE, CLOCKS_AGREED_FOR, FRESH_FOR
from ostraka_schemas.limits import CLOCK_TOLERANCE
from ostraka_schemas.records import Head, Heartbeat, Position

from .instant import Instant


class Freshness(StrEnum):
    """FRESH: vouched for less than 15 s ago. LAGGING: as young, but newer records are known to exist. STALE: older.
    EXPIRED: older than ``max_staleness``, nothing is accepted."""

    FRESH = "fresh"
    LAGGING = "lagging"
    STALE = "stale"
    EXPIRED = "expired"


_NOWHERE: Final = Position(0, 0)


class Statement(NamedTuple):
    """A verified heartbeat and its bytes."""

    heartbeat: Heartbeat
    raw: bytes


@dataclass(slots=True)
class Vouching:
    """What the heartbeats so far vouch for. All times are seconds since the epoch.

    Attributes:
        heard_at, heard_of: ``iat`` of the newest heartbeat, and the position it spoke of.
        vouched_at: ``iat`` of the newest heartbeat whose head was reached; ``None`` before the first.
        ahead: the newest heartbeat whose head was not reached yet.
        doubted: something was found after which no heartbeat can vouch any more.
    """

    heard_at: int = 0
    heard_of: Position = _NOWHERE
    vouched_at: int | None = None
    ahead: Statement | None = None
    doubted: bool = False
    _floor: float = 0.0
    _floor_read: float = 0.0
    _steady: float = 0.0
    _late_since: tuple[int, float] | None = None
    _agreed_since: float | None = None
    _heard_read: float = 0.0

    def now(self, at: Instant) -> float:
        """The time to judge by."""
        return max(at.wall, self._floor + (at.monotonic - self._floor_read))

    def is_ahead_of_time(self, heartbeat: Heartbeat, at: Instant) -> bool:
        """Whether the heartbeat lies further ahead than two good clocks differ."""
        return heartbeat.iat > self._steady_wall(at) + CLOCK_TOLERANCE

    def _steady_wall(self, at: Instant) -> float:
        return max(at.wall, self._steady + at.monotonic)

    def is_news(self, heartbeat: Heartbeat) -> bool:
        """Whether it speaks of a later time than the newest so far, or of the same time but a position further on."""
        return (heartbeat.iat, heartbeat.head.position) > (self.heard_at, self.heard_of)

    def hear(self, statement: Statement, head: Head | None, at: Instant) -> None:
        """Take a verified heartbeat that is news; ``head`` is how far the feed is applied."""
        heartbeat = statement.heartbeat
        self.heard_at, self.heard_of = heartbeat.iat, heartbeat.head.position
        steady = self._steady_wall(at)
        self._steady = steady - at.monotonic
        floor = self._floor + (at.monotonic - self._floor_read)
        if self._is_agreed(heartbeat, at):
            floor = min(floor, steady - CLOCK_TOLERANCE)
        self._floor, self._floor_read = max(floor, float(heartbeat.iat)), at.monotonic
        if head is not None and heartbeat.head.position <= head.position:
            self.vouch(heartbeat.iat)
        else:
            self.ahead = statement

    def _is_agreed(self, heartbeat: Heartbeat, at: Instant) -> bool:
        """Whether the wall clock and every heartbeat for some time now have been of one mind."""
        silence, self._heard_read = at.monotonic - self._heard_read, at.monotonic
        if abs(at.wall - heartbeat.iat) > CLOCK_TOLERANCE:
            self._agreed_since = None
        elif self._agreed_since is None or silence > FRESH_FOR:
            self._agreed_since = at.monotonic
        return self._agreed_since is not None and at.monotonic - self._agreed_since >= CLOCKS_AGREED_FOR

    def clocks_differ(self, heartbeat: Heartbeat, at: Instant) -> bool:
        """Whether this wall clock and the issuer's are further apart than two good clocks.

        Ask of every authentic heartbeat, news or not, after ``hear``.
        """
        if max(self.now(at), self._steady_wall(at)) - at.wall > CLOCK_TOLERANCE:
            return True
        if at.wall - heartbeat.iat <= CLOCK_TOLERANCE:
            self._late_since = None
            return False
        if self._late_since is None or not self._in_step(heartbeat, at, *self._late_since):
            # Old ones that are read one after the other, or an outage that ends: no sign of a wrong clock.
            self._late_since = (heartbeat.iat, at.monotonic)
            return False
        return heartbeat.iat - self._late_since[0] >= FRESH_FOR

    @staticmethod
    def _in_step(heartbeat: Heartbeat, at: Instant, iat: int, read: float) -> bool:
        return abs((heartbeat.iat - iat) - (at.monotonic - read)) <= CLOCK_STEP_TOLERANCE

    def begin_epoch(self) -> None:
        """Nothing that was said of the former epoch vouches for the new one; the signed time goes on."""
        self.heard_at, self.heard_of = 0, _NOWHERE
        self.vouched_at = None
        self.ahead = None
        self.doubted = False

    def listen_anew(self) -> None:
        """Take no heartbeat so far for news, nor as a voucher; the signed time goes on."""
        self.heard_at, self.heard_of = 0, _NOWHERE
        self.vouched_at = None
        self.ahead = None

    def reached(self, head: Head | None) -> Statement | None:
        """The heartbeat that was ahead, once the feed is applied up to where it was: compare it, then ``vouch``."""
        ahead = self.ahead
        if ahead is None or head is None or ahead.heartbeat.head.position > head.position:
            return None
        self.ahead = None
        return ahead

    def vouch(self, iat: int) -> None:
        """Take note that all is known that was committed before ``iat``, unless there is doubt."""
        if not self.doubted and (self.vouched_at is None or iat > self.vouched_at):
            self.vouched_at = iat

    def age(self, now: float) -> float | None:
        """Seconds since the newest moment that is vouched for; ``None`` before the first."""
        return None if self.vouched_at is None else now - self.vouched_at

    def state(self, now: float, *, max_staleness: float, behind: bool) -> Freshness:
        """The freshness at ``now``; ``behind`` if records are known to exist that are not applied."""
        age = self.age(now)
        if age is None or age > max_staleness:
            return Freshness.EXPIRED
        if age >= FRESH_FOR or self.doubted:
            return Freshness.STALE
        return Freshness.LAGGING if behind else Freshness.FRESH


def forgets(heartbeat: Heartbeat, head: Head | None, latest_iat: int) -> bool:
    """Whether a heartbeat does not know of applied records that were signed before it: no issuer that kept its database
    says so.

    Two processes may have signed them, each with its own clock, so they must be further apart than two good clocks.

    Args:
        head: how far the feed is applied.
        latest_iat: latest ``iat`` of the records up to there, in seconds since the epoch.
    """
    return (
        head is not None
        and heartbeat.head.position < head.position
        and heartbeat.iat > latest_iat + 2 * CLOCK_TOLERANCE
    )


def newest(*positions: Position | None) -> Position | None:
    """The furthest of the positions that are known."""
    return max((position for position in positions if position is not None), default=None)
