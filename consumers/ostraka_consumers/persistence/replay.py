"""Reading back: what the directory holds is delivered like what a source brings, in the order in which it took effect.

Root documents come when something was refused for want of one, as from every source: so each record meets the keys that
were in force when it took effect. The first thing that is not accepted ends it; what comes after could not be applied.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final, NamedTuple

from ostraka_consumers.trust.receipt import Outcome, Receipt
from ostraka_schemas.records import Position

from .frames import Frame

Batches = Callable[[], Awaitable[list[Frame]]]
"""Gives what comes next, and at the end nothing."""

_ROOT_MISSING: Final = frozenset({"unknown_key", "wrong_epoch", "no_root_yet", "root_missing", "feed_key_expired"})
_TAKEN: Final = frozenset({Outcome.APPLIED, Outcome.ROOT, Outcome.DUPLICATE})


class Extent(NamedTuple):
    """How far what was read leads, and how much of the journal led there.

    Attributes:
        tail: ``None`` if it leads nowhere.
        length: bytes of the journal that are good.
        frames: how many there are in them.
    """

    tail: Position | None = None
    length: int = 0
    frames: int = 0


class Replay:
    """One reading.

    Args:
        deliver: to the verifier.
        applied: how far the feed is applied.
        roots: the root documents, oldest first.
    """

    def __init__(
        self, deliver: Callable[[bytes], Receipt], applied: Callable[[], Position | None], roots: Iterable[bytes]
    ) -> None:
        self._raw_deliver: Final = deliver
        self._applied: Final = applied
        self._roots: Final = deque(roots)

    async def run(self, snapshot: Batches, journal: Batches) -> Extent:
        """Deliver all of it. Every batch is followed by a turn of the other tasks.

        Raises:
            OSError: from reading; what was delivered before stands.
        """
        base = await self._snapshot(snapshot)
        extent = await self._journal(journal, base)
        while self._roots:
            self._raw_deliver(self._roots.popleft())
            await asyncio.sleep(0)
        return extent

    async def _snapshot(self, batches: Batches) -> Position | None:
        head: Position | None = None
        async for found in _each(batches):
            receipt = self._deliver(found.payload)
            if receipt.heard is None:
                head = receipt.position
        applied = self._applied()
        return head if head is not None and applied is not None and applied >= head else None

    async def _journal(self, batches: Batches, base: Position | None) -> Extent:
        extent = Extent(base)
        async for found in _each(batches):
            receipt = self._deliver(found.payload)
            tail = _after(extent.tail, receipt)
            if receipt.outcome not in _TAKEN or tail is None:
                break
            extent = Extent(tail, found.end, extent.frames + 1)
        return extent

    def _deliver(self, raw: bytes) -> Receipt:
        receipt = self._raw_deliver(raw)
        while receipt.outcome is Outcome.REFUSED and receipt.reason in _ROOT_MISSING and self._roots:
            self._raw_deliver(self._roots.popleft())
            receipt = self._raw_deliver(raw)
        return receipt


async def _each(batches: Batches) -> AsyncIterator[Frame]:
    while batch := await batches():
        for found in batch:
            yield found
        await asyncio.sleep(0)


def _after(tail: Position | None, receipt: Receipt) -> Position | None:
    """How far it leads with this; ``None`` if something before it is missing."""
    position = receipt.position
    if position is None:
        return tail  # a root document
    if tail is None:
        return position if position.seq == 1 else None
    if position <= tail:
        return tail
    return position if position == (tail.epoch, tail.seq + 1) else None
