"""What each source brings, side by side: so that one that lies, withholds or is silent shows beside the others."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ostraka_schemas.records import Position

from .clock import Clock
from .limits import SNAPSHOT_AFTER
from .trust.core import TrustCore
from .trust.freshness import newest
from .trust.instant import Instant
from .trust.receipt import Outcome, Receipt

_log: Final = logging.getLogger("ostraka.verifier")

CONNECTING: Final = "connecting"
_TROUBLES: Final = frozenset({"waiting", "broke", "ended"})


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One look at a source.

    Attributes:
        state: what it is doing, in words.
        silence: seconds since it brought a heartbeat newer than its one before; ``None`` before the first.
        delivered: how often each outcome occurred with what it brought; refusals as ``refused.<reason>``.
        furthest: the furthest position of an authentic record or snapshot it brought.
        withholds: it speaks of records that only another source brought.
    """

    state: str
    silence: float | None
    delivered: Mapping[str, int]
    furthest: Position | None
    withholds: bool

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON types."""
        return {
            "state": self.state,
            "silence": self.silence,
            "delivered": dict(self.delivered),
            "furthest": None if self.furthest is None else list(self.furthest),
            "withholds": self.withholds,
        }


class Intake:
    """The sink of one source (``FeedSink``).

    A source that is honest brings every record it speaks of. So a heartbeat is held against the one before: what that
    one spoke of has had an interval's time to come.

    Args:
        take: hands bytes to the verifier.
        withheld: called when the source begins to withhold.
    """

    def __init__(
        self,
        name: str,
        core: TrustCore,
        clock: Clock,
        *,
        take: Callable[[bytes, Instant], Receipt],
        withheld: Callable[[str], None],
    ) -> None:
        self._name: Final = name
        self._core: Final = core
        self._clock: Final = clock
        self._take = take
        self._withheld = withheld
        self._state = "not started"
        self._logged = ""
        self._delivered: Counter[str] = Counter()
        self._furthest: Position | None = None
        self._claimed: Position | None = None
        self._withholds = False
        self._heard = 0
        self._heard_at = -math.inf
        self._missing_since: float | None = None

    # --- FeedSink ----------------------------------------------------------------------------------------------------

    def deliver(self, raw: bytes) -> Receipt:
        """Take what the source found. Never raises."""
        at = self._clock.now()
        receipt = self._take(raw, at)
        refused = receipt.outcome is Outcome.REFUSED
        self._delivered[f"refused.{receipt.reason}" if refused else receipt.outcome.value] += 1
        if receipt.heard is not None:
            self._hear(receipt.heard, receipt.position, at)
        elif receipt.position is not None:
            self._furthest = newest(self._furthest, receipt.position)
        return receipt

    def silence(self) -> float:
        """Seconds since this source brought a heartbeat newer than its one before; infinite before the first."""
        return self._clock.now().monotonic - self._heard_at

    @property
    def incomplete(self) -> bool:
        """Whether records are known to exist that were not delivered."""
        return self._core.behind

    @property
    def position(self) -> Position | None:
        """How far the feed is applied."""
        head = self._core.head
        return None if head is None else head.position

    @property
    def root_version(self) -> int:
        """Version of the root document in force; 0 before the first."""
        return self._core.root_version

    @property
    def wants_snapshot(self) -> bool:
        """Whether nothing is applied yet, or records have been missing for longer than ``SNAPSHOT_AFTER``."""
        if self._core.head is None:
            return True
        if not self._core.behind:
            self._missing_since = None
            return False
        now = self._clock.now().monotonic
        if self._missing_since is None:
            self._missing_since = now
        return now - self._missing_since > SNAPSHOT_AFTER

    def report(self, state: str) -> None:
        """Take note of what the source is doing."""
        if state == CONNECTING:
            self._claimed = None  # what it speaks of next may have come before, from another
        self._state = state
        # Of an outage that lasts, one line when it begins and one when it is over, however often it tries.
        if state not in (CONNECTING, self._logged):
            self._logged = state
            trouble = state.partition(":")[0] in _TROUBLES
            _log.log(logging.WARNING if trouble else logging.INFO, "source %s: %s", self._name, state)

    # --- what can be seen --------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """What the source is doing, in words."""
        return self._state

    @property
    def status(self) -> SourceStatus:
        """How the source is, at this moment."""
        silence = self.silence()
        return SourceStatus(
            state=self._state,
            silence=None if math.isinf(silence) else silence,
            delivered=dict(self._delivered),
            furthest=self._furthest,
            withholds=self._withholds,
        )

    def _hear(self, iat: int, of: Position | None, at: Instant) -> None:
        if iat <= self._heard:
            return
        self._heard, self._heard_at = iat, at.monotonic
        if self._claimed is None:
            self._furthest = newest(self._furthest, self.position)
        withholds = self._lacks(self._claimed) and not self._core_lacks(self._claimed)
        if withholds and not self._withholds:
            self._withheld(self._name)
        self._withholds = withholds
        self._claimed = of

    def _lacks(self, position: Position | None) -> bool:
        return position is not None and (self._furthest is None or self._furthest < position)

    def _core_lacks(self, position: Position | None) -> bool:
        head = self.position
        return position is not None and (head is None or head < position)
