"""How long the feed waits before it tries again."""

import math
from random import Random
from typing import NamedTuple

from ostraka_consumers.sources._backoff import Backoff

from ..limits import KAFKA_BACKOFF_FIRST, KAFKA_BACKOFF_MAX


class _Patience(NamedTuple):
    retry_min: float = KAFKA_BACKOFF_FIRST
    retry_max: float = KAFKA_BACKOFF_MAX
    steady: float = math.inf
    """Here success is told, not guessed from how long it lasted."""


def new_backoff(random: Random, most: float = KAFKA_BACKOFF_MAX) -> Backoff:
    """Pauses between attempts, none longer than ``most``, with chance from ``random``; ``reset()`` when it worked."""
    return Backoff(_Patience(retry_max=most), lambda bound: random.uniform(0, bound))
