"""How long whoever fails to log in has to wait: the rules alone, without database and clock.

NIST SP 800-63B-4 §3.2.2: at most 100 consecutive failures on one account, and before that a wait that grows with them,
up to an hour. OWASP Authentication Cheat Sheet, "Login Throttling": exponential, and counted by account, not only by
address. Nobody is shut out for good, else anybody could shut out anybody: beyond 100 there is one try a day.

    failures of one account     1 to 4   5   6   7   …   16     17 to 99   100 and more
    seconds until the next try    0      1   2   4   …   2048     3600        86400

A day after the last failure one of them is forgotten, after another day one more: whoever guesses for ever has one
guess a day beyond the first hundred, however the pauses are chosen. An address is forgiven all at once.

A try counts as failed before its password is looked at, and is taken back if it was none: of a crowd of guesses that
come at the same moment, no more are looked at than one after the other.
"""

from typing import Final, NamedTuple

from ostraka_issuer.limits import (
    ACCOUNT_FAILURES_FORGIVEN,
    ACCOUNT_FAILURES_FREE,
    ACCOUNT_FAILURES_MAX,
    ACCOUNT_WAIT_MAX,
    ADDRESS_FAILURES_FREE,
    ADDRESS_WAIT_MAX,
    FAILURES_FORGOTTEN,
    LOGIN_WAIT_FIRST,
)

_DOUBLINGS_MAX: Final = 32


class Schedule(NamedTuple):
    """Whom it slows down, and how much. Times are seconds.

    Attributes:
        free: so many failures cost nothing.
        most: the longest wait, while there are fewer than ``ceiling`` failures; then it is ``forgotten``.
        forgiven: so many failures are forgotten each time that ``forgotten`` has passed since the last one.
    """

    free: int
    most: float
    ceiling: int
    forgiven: int
    forgotten: float = FAILURES_FORGOTTEN


ACCOUNT: Final = Schedule(ACCOUNT_FAILURES_FREE, ACCOUNT_WAIT_MAX, ACCOUNT_FAILURES_MAX, ACCOUNT_FAILURES_FORGIVEN)
ADDRESS: Final = Schedule(ADDRESS_FAILURES_FREE, ADDRESS_WAIT_MAX, 2**53, 2**53)
"""Many people may share one address, and their mistakes add up: it is slowed down later, and never much."""


def wait_after(schedule: Schedule, failures: int) -> float:
    """Seconds from the last of ``failures`` to the next try."""
    if failures <= schedule.free:
        return 0.0
    if failures >= schedule.ceiling:
        return schedule.forgotten
    doublings = min(failures - schedule.free - 1, _DOUBLINGS_MAX)
    return min(LOGIN_WAIT_FIRST * 2.0**doublings, schedule.most)


def still_counted(schedule: Schedule, failures: int, failed_at: float, now: float) -> int:
    """How many failures count at ``now``; times are seconds since the epoch."""
    # A clock that was set back must neither forget what happened nor shut anybody out for as long as it went back.
    passed = int(abs(now - failed_at) / schedule.forgotten)
    return max(0, failures - schedule.forgiven * passed)


def seconds_left(schedule: Schedule, failures: int, failed_at: float, now: float) -> float:
    """How long is still to be waited."""
    counted = still_counted(schedule, failures, failed_at, now)
    return max(0.0, wait_after(schedule, counted) - abs(now - failed_at))
