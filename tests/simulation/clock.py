"""Virtual time: one true time, and machines whose clocks differ from it."""

from typing import Final

from ostraka_consumers.clock import Instant

START: Final = 1_800_000_000.0
"""The true wall clock when a schedule begins."""


class Time:
    """The true time, in seconds since the schedule began. It only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass everywhere."""
        self.now += seconds


class MachineClock:
    """A machine's two clocks.

    Args:
        offset: seconds by which its wall clock is ahead.
        drift: seconds that both clocks gain each second.
    """

    def __init__(self, time: Time, *, offset: float = 0.0, drift: float = 0.0) -> None:
        self._time = time
        self._offset = offset
        self._drift = drift
        self._boot = 1_000.0

    def now(self) -> Instant:
        """Both clocks, read together."""
        elapsed = self._time.now * (1 + self._drift)
        return Instant(START + elapsed + self._offset, self._boot + elapsed)

    @property
    def error(self) -> float:
        """Seconds by which the wall clock is ahead of the true time."""
        return self._offset + self._time.now * self._drift

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator or NTP would."""
        self._offset += seconds

    def set_right(self, error: float = 0.0) -> None:
        """Set the wall clock to the true time, but for ``error``; from now on it keeps it."""
        self._boot += self._time.now * self._drift
        self._offset, self._drift = error, 0.0

    def reboot(self, monotonic: float) -> None:
        """Start the monotonic clock anew."""
        self._boot = monotonic - self._time.now * (1 + self._drift)
