"""From the wire into the sink: in slices, and with an end to what is useless."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ostraka_consumers import limits
from ostraka_consumers.trust.freshness import newest
from ostraka_consumers.trust.receipt import Outcome, Receipt
from ostraka_schemas.records import Position

from ._http_policy import Allowance, Gaps
from ._policy import ROOT_MISSING
from .base import FeedSink

_NEWS: Final = frozenset({Outcome.APPLIED, Outcome.HEARTBEAT})


@dataclass
class Notes:
    """What outlives a connection.

    Attributes:
        roots_wanted: something was refused that a newer root document might explain.
        roots_from: when the server may next be asked for root documents.
        snapshot_due: records are missing, and asking for them did not help.
        etag: of the snapshot that was delivered whole.
        streaming: whether to ask for a stream, or again and again.
    """

    gaps: Gaps
    roots_wanted: bool = False
    roots_from: float = -math.inf
    snapshot_due: bool = False
    etag: str | None = None
    streaming: bool = True


class Delivery:
    """Delivers for one connection.

    Attributes:
        brought: whether anything was delivered at all.
        reached: the furthest record that this connection brought, or that was applied when following began. What
            another source brought meanwhile is asked for all the same: whoever speaks of a record is to bring it.
    """

    def __init__(self, sink: FeedSink, notes: Notes, clock: Callable[[], float]) -> None:
        self.brought = False
        self.reached: Position | None = None
        self._sink: Final = sink
        self._notes: Final = notes
        self._clock: Final = clock
        self._useless: Final = Allowance(limits.HTTP_USELESS_MAX, limits.HTTP_USELESS_RATE, clock())
        self._slice_ends = clock() + limits.SOURCE_SLICE

    async def deliver(self, raw: bytes) -> Receipt:
        """Hand something over, and give way to other tasks if it is their turn."""
        receipt = self._sink.deliver(raw)
        self.brought = True
        if receipt.heard is None:
            self.reached = newest(self.reached, receipt.position)
        if receipt.reason in ROOT_MISSING:
            self._notes.roots_wanted = True
        await self._give_way()
        return receipt

    async def take(self, raw: bytes) -> bool:
        """Hand over a record or a heartbeat; without bytes, only count. Whether to go on with this connection."""
        news = bool(raw) and (await self.deliver(raw)).outcome in _NEWS
        if not raw:
            await self._give_way()
        return news or self._useless.take(self._clock())

    async def _give_way(self) -> None:
        if self._clock() >= self._slice_ends:
            await asyncio.sleep(0)
            self._slice_ends = self._clock() + limits.SOURCE_SLICE
