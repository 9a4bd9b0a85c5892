"""The records of the feed for ``watch``: from the first that the topic holds, or from a snapshot if it must be."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from ostraka_consumers.limits import CHANGES_QUEUE_MAX
from ostraka_consumers.verifier import Verifier
from ostraka_schemas.records import Position, Record

from .guard import CommandError

Applied: TypeAlias = Callable[[Sequence[Record]], None]
Follower: TypeAlias = Callable[[bool, Applied], Verifier]
"""Makes a verifier: whether it may take snapshots, and who is told of the records that it applied."""
Jump: TypeAlias = Position
"""Up to here a snapshot took the place of records."""

_LOOK: Final = 0.5
_LOOKS: Final = 3
"""It is given up when at so many looks, so many seconds apart, records were missing and none was applied in between: a
look may come while the first ones are being read."""

_ROOT_MISSING: Final = ("no_root_yet", "unknown_key", "feed_key_expired", "wrong_epoch")
"""Reasons for which the feed cannot be read from where the topic begins."""


class Arrivals:
    """Records in feed order, and where some are missing between them because a snapshot took their place.

    Args:
        jumps: whether the first record need not be the first of its epoch, and that is to be told.
    """

    def __init__(self, *, jumps: bool) -> None:
        self._jumps = jumps
        self._last: Position | None = None
        self._waiting: deque[Record | Jump] = deque()
        self._filled = asyncio.Event()
        self._too_slow = False

    def put(self, records: Sequence[Record]) -> None:
        """Take records that were applied. Never blocks."""
        for record in records:
            before = Position(record.position.epoch, record.position.seq - 1)
            self.reach(before)
            self._append(record)
            self._last = record.position

    def reach(self, head: Position) -> None:
        """Note that everything up to ``head`` is applied, however that came about."""
        first_of_all = self._last is None and not self._jumps
        if head.seq and head != self._last and not first_of_all:
            self._append(head)
            self._last = head

    def pass_over(self, head: Position | None) -> None:
        """Leave out what has come so far, up to ``head``."""
        self._waiting.clear()
        self._last, self._jumps = head, True

    def _append(self, arrived: Record | Jump) -> None:
        self._too_slow = self._too_slow or len(self._waiting) >= CHANGES_QUEUE_MAX
        if not self._too_slow:
            self._waiting.append(arrived)
        self._filled.set()

    async def next(self) -> Record | Jump:
        """The next record, or up to where a snapshot took the place of some.

        Raises:
            CommandError: more than ``CHANGES_QUEUE_MAX`` were waiting.
        """
        while not self._waiting:
            if self._too_slow:
                raise CommandError(f"too slow for this feed: more than {CHANGES_QUEUE_MAX} records behind")
            self._filled.clear()
            await self._filled.wait()
        return self._waiting.popleft()


async def begin(follower: Follower, *, new_only: bool) -> tuple[Verifier, Arrivals]:
    """Start a verifier and tell what it applies. Whoever calls has to stop it.

    Args:
        new_only: leave out what was before it was ready.

    Raises:
        NotReady: the feed does not come.
        SourceError
    """
    if not new_only:
        arrivals = Arrivals(jumps=False)
        verifier = follower(False, arrivals.put)
        if await _reads_from_the_first(verifier):
            return verifier, arrivals
    arrivals = Arrivals(jumps=True)
    verifier = follower(True, arrivals.put)
    await verifier.start()
    head = verifier.core.head
    if new_only:
        arrivals.pass_over(None if head is None else head.position)
    elif head is not None:
        arrivals.reach(head.position)
    return verifier, arrivals


async def _reads_from_the_first(verifier: Verifier) -> bool:
    """Start it, or end it because what the topic holds of the feed does not lead to its end."""
    starting = asyncio.create_task(verifier.start())
    stuck, head = 0, None
    try:
        while stuck < _LOOKS:
            await asyncio.wait({starting}, timeout=_LOOK)
            if starting.done():
                await starting
                return True
            stuck = stuck + 1 if verifier.core.head == head and _lacks_records(verifier) else 0
            head = verifier.core.head
        return False
    finally:
        if not starting.done():
            await verifier.stop()
            await asyncio.gather(starting, return_exceptions=True)


def _lacks_records(verifier: Verifier) -> bool:
    core = verifier.core
    nothing_fits = core.head is None and any(core.counters[f"refused.{reason}"] for reason in _ROOT_MISSING)
    return nothing_fits or core.behind
