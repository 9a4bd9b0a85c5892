"""Pauses between attempts. Pure: chance is handed in."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from ostraka_consumers.limits import FOLLOW_RETRY_MAX, FOLLOW_RETRY_MIN, FOLLOW_STEADY


class Patience(Protocol):
    """What a source's timing says about attempts, in seconds."""

    @property
    def retry_min(self) -> float:
        """The longest pause after the first failure; twice as long after each further one."""
        ...

    @property
    def retry_max(self) -> float:
        """The longest of all."""
        ...

    @property
    def steady(self) -> float:
        """A connection that lasted so long was a good one: the next pause is a short one again."""
        ...


@dataclass(frozen=True, slots=True)
class AfterBreaking:
    """The patience with a source that broke."""

    retry_min: float = FOLLOW_RETRY_MIN
    retry_max: float = FOLLOW_RETRY_MAX
    steady: float = FOLLOW_STEADY


class Backoff:
    """Full jitter, a random time between nothing and a bound that doubles: those who fail together come back apart.

    Args:
        jitter: picks a pause between 0 and its argument.
    """

    def __init__(self, timing: Patience, jitter: Callable[[float], float]) -> None:
        self._timing: Final = timing
        self._jitter: Final = jitter
        self._failures = 0

    def reset(self) -> None:
        """Begin anew: it worked."""
        self._failures = 0

    def pause(self, lasted: float = 0.0, *, at_most: float = math.inf) -> float:
        """Seconds to wait after an attempt that lasted so long."""
        if lasted >= self._timing.steady:
            self.reset()
        # The exponent is bounded only so that it cannot overflow; the pause has its own bound.
        ceiling = self._timing.retry_min * 2.0 ** min(self._failures, 32)
        self._failures += 1
        return self._jitter(min(ceiling, self._timing.retry_max, at_most))
