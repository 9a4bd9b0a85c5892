"""How far back tokens may still be alive, told by feed positions instead of clocks.

A revocation is forgotten when every token that it could meet has ended. From then on no token minted before its record
is taken: one that claims to be alive got its times from a clock that was wrong, and what was said of it is forgotten.
"""

from math import ceil
from typing import Final, NamedTuple

from ostraka_consumers.limits import HORIZON_STEPS, HORIZON_STEPS_MAX

from .cutoffs import Moment


class Passed(NamedTuple):
    """What lies behind the horizon.

    Attributes:
        until: what is to be kept until then or longer is not forgotten yet (seconds since the epoch).
        moment: of the tokens minted before it none is alive; ``None`` if it is no later one than before.
    """

    until: float
    moment: Moment | None


class Horizon:
    """Moves on in steps, so that it is never behind what has been forgotten.

    Args:
        span: seconds that a revocation is kept.
    """

    def __init__(self, span: int) -> None:
        self._width: Final = ceil(span / HORIZON_STEPS)
        self._steps: dict[int, Moment] = {}
        self._held = 0

    def note(self, moment: Moment, expires: float) -> None:
        """Every token minted before ``moment`` has ended by ``expires`` (seconds since the epoch)."""
        self._add(ceil(expires / self._width), moment)
        if len(self._steps) > HORIZON_STEPS_MAX:
            oldest = self._steps.pop(min(self._steps))
            self._add(min(self._steps), oldest)

    def hold(self, moment: Moment, expires: float) -> None:
        """The same, and until then it does not move."""
        self._held = max(self._held, ceil(expires / self._width))
        self.note(moment, expires)

    def move(self, signed_time: float) -> Passed:
        """It is ``signed_time`` now (seconds since the epoch)."""
        step = int(signed_time // self._width)
        if step < self._held:
            return Passed(0.0, None)
        moments = [self._steps.pop(index) for index in [index for index in self._steps if index <= step]]
        return Passed(step * self._width, _latest(*moments) if moments else None)

    def _add(self, index: int, moment: Moment) -> None:
        before = self._steps.get(index)
        self._steps[index] = moment if before is None else _latest(before, moment)


def _latest(*moments: Moment) -> Moment:
    return Moment(max(moment.position for moment in moments), max(moment.iat for moment in moments))
