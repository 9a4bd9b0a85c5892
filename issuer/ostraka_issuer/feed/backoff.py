"""How long to wait before trying again."""

from random import Random


class Backoff:
    """Full jitter: a random time between nothing and a bound that doubles with every failure.

    Args:
        first: the first bound, in seconds.
        most: the bound never grows past this.
        random: where chance comes from.
    """

    def __init__(self, first: float, most: float, random: Random) -> None:
        self._first = first
        self._most = most
        self._random = random
        self._bound = first

    def next(self) -> float:
        """Seconds to wait now."""
        seconds = self._random.uniform(0, self._bound)
        self._bound = min(self._most, self._bound * 2)
        return seconds

    def reset(self) -> None:
        """Begin anew: it worked."""
        self._bound = self._first
