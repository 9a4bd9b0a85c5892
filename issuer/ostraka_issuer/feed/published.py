"""What the topic has, as a process that does not publish can know it: by the marks in the database."""

import asyncio

from ostraka_consumers.clock import Clock
from ostraka_schemas.records import Position

from ..limits import FEED_FOLLOW, FEED_PROMPT
from .log import FeedLog


class Published:
    """Asks the database.

    Args:
        log: the stored feed.
        clock: tells how long something waits.
    """

    def __init__(self, log: FeedLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock

    async def reached(self, position: Position) -> bool:
        """Whether the record at ``position`` is published.

        Waits a moment for it, and not at all while older ones have waited for longer than that: no broker is there.
        Raises StoreUnavailable.
        """
        deadline = asyncio.get_running_loop().time() + FEED_PROMPT
        if await self._is_stuck():
            return await self._log.is_marked(position)
        while not await self._log.is_marked(position):
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(FEED_FOLLOW)
        return True

    async def _is_stuck(self) -> bool:
        oldest = (await self._log.backlog(await self._log.published())).oldest
        return oldest is not None and self._clock.now().wall - oldest > FEED_PROMPT
