"""Pauses between attempts. Pure: chance is handed in."""

import math
from collections.abc import Callable
from typing import Final, Protocol


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


class Backoff:
    """Full jitter, so that many verifiers do not come back in step.

    Args:
        jitter: picks a pause between 0 and its argument.
    """

    def __init__(self, timing: Patience, jitter: Callable[[float], float]) -> None:
        self._timing: Final = timing
        self._jitter: Final = jitter
        self._failures = 0

    def pause(self, lasted: float, *, at_most: float = math.inf) -> float:
        """Seconds to wait after an attempt that lasted so long."""
        if lasted >= self._timing.steady:
            self._failures = 0
        # The exponent is bounded only so that it cannot overflow; the pause has its own bound.
        ceiling = self._timing.retry_min * 2.0 ** min(self._failures, 32)
        self._failures += 1
        return self._jitter(min(ceiling, self._timing.retry_max, at_most))
