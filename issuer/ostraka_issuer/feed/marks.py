"""Which records are in the topic: remembered at once, written to the database a little later.

The mark is for restarts and for people. It is written off the path of a revocation, many at once; one that is lost in a
crash costs a second sending of the same bytes.
"""

import asyncio
import logging

from ostraka_consumers.clock import Clock
from ostraka_schemas.records import Position

from ..errors import StoreUnavailable
from ..failpoints import hit
from ..limits import FEED_MARK, FEED_POLL, FEED_WAITERS
from .log import FeedLog

logger = logging.getLogger(__name__)


class Marks:
    """How far the topic is filled.

    Args:
        log: where marks are written.
        clock: tells ``published_at``.
    """

    def __init__(self, log: FeedLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._until: Position | None = None
        self._waiting: list[tuple[Position, asyncio.Future[None]]] = []
        self._written: Position | None = None
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()

    @property
    def until(self) -> Position | None:
        """The topic has every record up to and with this one."""
        return self._until

    def note(self, position: Position) -> None:
        """The record at ``position`` was acknowledged, and all before it."""
        self._until = position
        self._news.set()
        for waited, future in self._waiting:
            if waited <= position and not future.done():
                future.set_result(None)

    async def reached(self, position: Position, timeout: float) -> bool:
        """Whether the topic has the record at ``position``, waiting for it at most ``timeout`` seconds."""
        if self._has(position) or len(self._waiting) >= FEED_WAITERS:
            return self._has(position)
        entry = position, asyncio.get_running_loop().create_future()
        self._waiting.append(entry)
        try:
            await asyncio.wait({entry[1]}, timeout=timeout)
        finally:
            self._waiting.remove(entry)
        return self._has(position)

    def _has(self, position: Position) -> bool:
        return self._until is not None and self._until >= position

    async def load(self) -> None:
        """Begin with what the database says. Raises StoreUnavailable."""
        self._until = self._written = await self._log.published()

    async def restart(self, until: Position | None) -> None:
        """The topic was looked at: it has the records up to ``until`` and no others. Raises StoreUnavailable."""
        async with self._turn:
            self._until = until
            await self._log.mark_unpublished(until)
            if until is not None and (self._written is None or self._written < until):
                await self._log.mark_published(self._written, until, self._clock.now().wall)
            self._written = until

    async def run(self) -> None:
        """Write marks until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await asyncio.sleep(FEED_MARK)
            try:
                await self.write()
            except StoreUnavailable as error:
                logger.warning("published records are not marked: %s", error)
                self._news.set()
                await asyncio.sleep(FEED_POLL)

    async def write(self) -> None:
        """Write what was noted since the last time. Raises StoreUnavailable."""
        async with self._turn:
            until, written = self._until, self._written
            if until is None or until == written:
                return
            await self._log.mark_published(written, until, self._clock.now().wall)
            self._written = until
            hit("publish.after_mark")
