"""When to read on, when to read again, when to build the consumer anew. Pure: time and chance are handed in.

Kafka's offsets decide nothing about trust. They only say where to go on reading, and every rule here leads at worst to
records that are delivered twice, which the trust core ignores.
"""

import math
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Final, NamedTuple

from ostraka_consumers import limits

THE_PARTITION: Final = frozenset({0})


@dataclass(frozen=True, slots=True)
class KafkaTiming:
    """How patient a ``KafkaSource`` is, in seconds. The defaults and their reasons stand in ``limits``."""

    silence_max: float = limits.SOURCE_SILENCE_MAX
    check_every: float = limits.SOURCE_CHECK_EVERY
    incomplete_max: float = limits.SOURCE_INCOMPLETE_MAX
    reread_min: float = limits.SOURCE_REREAD_MIN
    reread_max: float = limits.SOURCE_REREAD_MAX
    retry_min: float = limits.SOURCE_RETRY_MIN
    retry_max: float = limits.SOURCE_RETRY_MAX
    wait_max: float = limits.SOURCE_WAIT_MAX
    steady: float = limits.SOURCE_STEADY
    open_max: float = limits.SOURCE_OPEN_MAX
    request_max: float = limits.SOURCE_REQUEST_MAX
    metadata_max: float = limits.SOURCE_METADATA_MAX


class Backoff:
    """Pauses between attempts: full jitter, so that many verifiers do not come back in step."""

    def __init__(self, timing: KafkaTiming, jitter: Callable[[float], float]) -> None:
        self._timing = timing
        self._jitter = jitter
        self._failures = 0

    def pause(self, lasted: float, *, waiting: bool = False) -> float:
        """Seconds to wait after an attempt that lasted so long; ``waiting``: brokers answer, the topic is not there."""
        if lasted >= self._timing.steady:
            self._failures = 0
        # The exponent is bounded only so that it cannot overflow; the pause has its own bound.
        ceiling = self._timing.retry_min * 2.0 ** min(self._failures, 32)
        self._failures += 1
        return self._jitter(min(ceiling, self._timing.wait_max if waiting else self._timing.retry_max))


class Place(NamedTuple):
    """The record that was delivered last: where it was and what it was."""

    offset: int
    raw: bytes | None


def start_offset(place: Place | None, begin: int, end: int) -> int:
    """Where to start reading a log that holds the offsets from ``begin`` up to but not including ``end``.

    At the place, if it can still be there: the record found must then be compared with it (``is_same``). If the log
    does not reach that far, it is another one, or lost its tail: from the beginning.
    """
    return place.offset if place is not None and begin <= place.offset < end else begin


def is_same(place: Place, offset: int, raw: bytes | None) -> bool:
    """Whether the first record read is the one delivered last, so that the log before it is known."""
    return place.offset == offset and place.raw == raw


class Trouble(NamedTuple):
    """Why the consumer must be built anew, and whether the log must then be read from the beginning."""

    reason: str
    from_beginning: bool = False


class Look(NamedTuple):
    """One look at a consumer. ``known_end`` and ``partitions`` are what the broker last said; ``None``: nothing yet."""

    now: float
    position: int
    known_end: int | None
    partitions: Set[int] | None
    silence: float
    incomplete: bool


class Rereads:
    """How often the whole log is read because records are missing. Outlives consumers."""

    def __init__(self, timing: KafkaTiming) -> None:
        self._timing = timing
        self._delay = timing.reread_min
        self._next = -math.inf

    def take(self, now: float) -> bool:
        """Whether it is time for another one; if so it counts as begun."""
        if now < self._next:
            return False
        self._next = now + self._delay
        self._delay = min(2 * self._delay, self._timing.reread_max)
        return True

    def nothing_missing(self) -> None:
        """It helped, or something else did."""
        self._delay = self._timing.reread_min


class Watch:
    """Watches one consumer from when it was opened, at ``opened_at``, with the log reaching up to ``end``."""

    def __init__(self, timing: KafkaTiming, rereads: Rereads, opened_at: float, end: int) -> None:
        self._timing = timing
        self._rereads = rereads
        self._quiet_since = opened_at
        self._position = -1
        self._backlog_end = end
        self._incomplete_since = 0.0
        self._incomplete_end: int | None = None

    def trouble(self, look: Look) -> Trouble | None:
        """What is wrong, if anything."""
        if look.partitions != THE_PARTITION:
            return Trouble(partitions_trouble(look.partitions))
        if look.known_end is not None and look.known_end < look.position:
            # The embedded broker comes back empty and answers such a fetch with nothing, not with an error.
            return Trouble("the log became shorter than what was read of it", from_beginning=True)
        return self._silent(look) or self._incomplete(look)

    def _silent(self, look: Look) -> Trouble | None:
        if self._position < look.position and self._position < self._backlog_end:
            # Old records read again are no news to the verifier, but getting on with them is not silence either.
            self._quiet_since = look.now
        self._position = look.position
        silence = min(look.silence, look.now - self._quiet_since)
        if silence <= self._timing.silence_max:
            return None
        return Trouble(f"no verified heartbeat for {silence:.0f} s")

    def _incomplete(self, look: Look) -> Trouble | None:
        """Everything that was there when records were found missing has been read, and they still are: read again."""
        if not look.incomplete:
            self._incomplete_end = None
            self._rereads.nothing_missing()
            return None
        if self._incomplete_end is None:
            self._incomplete_since = look.now
            self._incomplete_end = look.position if look.known_end is None else look.known_end
        overdue = look.now - self._incomplete_since > self._timing.incomplete_max
        if overdue and look.position >= self._incomplete_end and self._rereads.take(look.now):
            return Trouble("records are missing; reading the log again", from_beginning=True)
        return None


def partitions_trouble(partitions: Set[int] | None) -> str:
    """Says what is wrong with a topic that has not exactly one partition."""
    if not partitions:
        return "the topic does not exist"
    return f"the topic has {len(partitions)} partitions and must have exactly one; records may be out of order or lost"
