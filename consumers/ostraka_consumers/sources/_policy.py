"""When to read on, when to read again, when to build the consumer anew. Pure: time and chance are handed in.

Kafka's offsets decide nothing about trust. They only say where to go on reading, and every rule here leads at worst to
records that are delivered twice, which the trust core ignores.
"""

import math
from collections.abc import Set
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
    snapshot_max: float = limits.SNAPSHOT_SEARCH_MAX


ROOT_MISSING: Final = frozenset({"unknown_key", "feed_key_expired", "wrong_epoch", "no_root_yet"})
"""Reasons for refusals that a newer root document could end."""


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
    """Why the consumer must be built anew; whether to read the log from its beginning then, or a snapshot first."""

    reason: str
    from_beginning: bool = False
    snapshot: bool = False


class Resume(NamedTuple):
    """How the next life begins.

    Attributes:
        place: the record delivered last; ``None`` if there is none to go on after.
        again: read the log from its beginning, whatever a snapshot says.
        snapshot: read a snapshot first, whatever else.
    """

    place: Place | None = None
    again: bool = False
    snapshot: bool = False

    def after(self, place: Place | None, trouble: Trouble | None) -> "Resume":
        """How to go on after a life that ended at ``place``, with a trouble or, without one, by some failure."""
        if trouble is None:
            return self._replace(place=place)
        return Resume(place, again=trouble.from_beginning, snapshot=trouble.snapshot)

    def is_passed(self, begin: int) -> bool:
        """Whether the log, which begins at ``begin``, does not hold the place any more."""
        return self.place is not None and self.place.offset < begin

    def takes_snapshot(self, begin: int, *, wanted: bool) -> bool:
        """Whether to look for a snapshot before reading: it is ``wanted``, or nobody knows how much lies before it."""
        return wanted or self.snapshot or self.is_passed(begin) or (self.place is None and not self.again)

    def starts_near_snapshot(self, begin: int) -> bool:
        """Whether reading may begin near a snapshot that was delivered, instead of where the log begins."""
        return not self.again and (self.place is None or self.is_passed(begin))


class Look(NamedTuple):
    """One look at a consumer. ``known_end`` and ``partitions`` are what the broker last said; ``None``: nothing yet."""

    now: float
    position: int
    known_end: int | None
    partitions: Set[int] | None
    silence: float
    incomplete: bool
    wants_snapshot: bool = False


class Rereads:
    """How often the whole log is read, or a snapshot, because records are missing. Outlives consumers."""

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


class Remedies:
    """What helps against missing records: first to read the log again, then a snapshot."""

    def __init__(self, timing: KafkaTiming) -> None:
        self.rereads: Final = Rereads(timing)
        self.snapshots: Final = Rereads(timing)

    def nothing_missing(self) -> None:
        """One of them helped, or something else did."""
        self.rereads.nothing_missing()
        self.snapshots.nothing_missing()


class Watch:
    """Watches one consumer from when it was opened, at ``opened_at``, with the log reaching up to ``end``."""

    def __init__(self, timing: KafkaTiming, remedies: Remedies, opened_at: float, end: int) -> None:
        self._timing = timing
        self._remedies = remedies
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
            self._remedies.nothing_missing()
            return None
        if self._incomplete_end is None:
            self._incomplete_since = look.now
            self._incomplete_end = look.position if look.known_end is None else look.known_end
        overdue = look.now - self._incomplete_since > self._timing.incomplete_max
        if not overdue or look.position < self._incomplete_end:
            return None
        if look.wants_snapshot and self._remedies.snapshots.take(look.now):
            return Trouble("records are missing; looking for a snapshot", snapshot=True)
        if self._remedies.rereads.take(look.now):
            return Trouble("records are missing; reading the log again", from_beginning=True)
        return None


def partitions_trouble(partitions: Set[int] | None) -> str:
    """Says what is wrong with a topic that has not exactly one partition."""
    if not partitions:
        return "the topic does not exist"
    return f"the topic has {len(partitions)} partitions and must have exactly one; records may be out of order or lost"
