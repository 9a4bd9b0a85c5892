"""Works that take turns: a noisy moment hits all of them alike, so what is compared are the same moments."""

import random
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

Work = Callable[[], Awaitable[float]]
"""Does its share of one round, and returns microseconds for each operation."""


@dataclass(frozen=True)
class Paired:
    """One figure a round, beside those of a floor in the same rounds."""

    values: tuple[float, ...]
    floor: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float:
        """To the floor: the median of the rounds' own ratios."""
        return statistics.median(self._ratios())

    @property
    def ratio_spread(self) -> tuple[float, float]:
        """What lies below a tenth and below nine tenths of the rounds' ratios."""
        return spread(self._ratios())

    def _ratios(self) -> list[float]:
        return [value / floor for value, floor in zip(self.values, self.floor, strict=True)]

    def to_dict(self) -> dict[str, float | list[float]]:
        """For machines."""
        return {
            "median": round(self.median, 3),
            "spread": [round(value, 3) for value in spread(self.values)],
            "ratio": round(self.ratio, 3),
            "ratio_spread": [round(value, 3) for value in self.ratio_spread],
        }


def spread(values: Sequence[float]) -> tuple[float, float]:
    """What lies below a tenth, and below nine tenths, of them (nearest rank)."""
    ordered = sorted(values)
    return ordered[len(ordered) // 10], ordered[min(len(ordered) - 1, len(ordered) * 9 // 10)]


class Fresh(Generic[T]):
    """Material made anew for each round, the same for all who take turns in it.

    Args:
        make: makes it.
        contestants: how many ask for it in a round, each once.
    """

    def __init__(self, make: Callable[[], T], contestants: int) -> None:
        self._make: Final = make
        self._contestants: Final = contestants
        self._asked = 0
        self._made: T | None = None

    def __call__(self) -> T:
        """What this round is about."""
        if self._made is None or self._asked % self._contestants == 0:
            self._made = self._make()
        self._asked += 1
        return self._made


async def interleaved(works: Mapping[str, Work], rounds: int, *, floor: str, seed: int = 1) -> dict[str, Paired]:
    """Let all take turns for so many rounds, in another order each time; one more round before, for warmth.

    By chance and not by rotation: what comes after a work that uses much the same code finds it in the caches.
    """
    found: dict[str, list[float]] = {name: [] for name in works}
    chance = random.Random(seed)
    for number in range(rounds + 1):
        for name in chance.sample(list(works), len(works)):
            value = await works[name]()
            if number:
                found[name].append(value)
    return {name: Paired(tuple(values), tuple(found[floor])) for name, values in found.items()}


def timed(calls: Sequence[Callable[[], object]]) -> float:
    """Microseconds a call."""
    begin = time.perf_counter()
    for call in calls:
        call()
    return (time.perf_counter() - begin) / len(calls) * 1e6
