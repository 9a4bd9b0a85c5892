"""A clock that runs too fast or too slow: all of it, the monotonic part too, as a bad quartz makes it."""

from ostraka_consumers.clock import Clock, Instant


class DriftingClock:
    """Another clock, from now on faster by ``rate``: 0.01 is 10 ms a second. Slower, if that is negative."""

    def __init__(self, clock: Clock, rate: float) -> None:
        self._clock = clock
        self._rate = rate
        self._began = clock.now().monotonic

    def now(self) -> Instant:
        """Both clocks, read together."""
        instant = self._clock.now()
        ahead = self._rate * (instant.monotonic - self._began)
        return Instant(instant.wall + ahead, instant.monotonic + ahead)
