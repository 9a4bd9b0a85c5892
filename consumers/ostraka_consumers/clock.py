"""Clocks are handed in, so that tests own the time."""

import time
from collections.abc import Callable
from typing import Final, Protocol

from .trust.instant import Instant

__all__ = ["Clock", "Instant", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> Instant:
        """Both clocks, read together."""
        ...


def _counting_sleep() -> Callable[[], float]:
    """The monotonic clock that goes on while the machine is suspended, where there is one.

    After a suspension the other one, and until somebody sets it the wall clock, may say that no time has passed; then
    news that waited somewhere for as long would look young.
    """
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic if boot is None else lambda: time.clock_gettime(boot)


_monotonic: Final = _counting_sleep()


class SystemClock:
    """The machine's clocks."""

    def now(self) -> Instant:
        """Both clocks, read together."""
        return Instant(time.time(), _monotonic())


class ManualClock:
    """A clock that stands still until it is moved. For tests."""

    def __init__(self, wall: float = 1_800_000_000.0, monotonic: float = 1_000.0) -> None:
        self._now = Instant(wall, monotonic)

    def now(self) -> Instant:
        """Both clocks, read together."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self._now = Instant(self._now.wall + seconds, self._now.monotonic + seconds)

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator or NTP would."""
        self._now = self._now._replace(wall=self._now.wall + seconds)
