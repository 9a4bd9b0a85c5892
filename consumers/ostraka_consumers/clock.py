"""Clocks are handed in, so that tests own the time."""

import time
from typing import Protocol

from .trust.instant import Instant

__all__ = ["Clock", "Instant", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> Instant:
        """Both clocks, read together."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> Instant:
        """Both clocks, read together."""
        return Instant(time.time(), time.monotonic())


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
