"""Tells others of heartbeats: readers over HTTP, and processes that follow the database.

Kafka is sent nothing before the topic was looked at: an older copy of the database is to vouch for nothing. Nobody else
outside this process is to hear more than that, but for ``FEED_CHECK_HOLD`` at most.
"""

import asyncio
import logging
from collections.abc import Callable

from sqlalchemy import Connection

from ..errors import StoreUnavailable
from ..limits import FEED_CHECK_HOLD
from ..store import Store
from .follower import Beat
from .rows import write_beat
from .tenure import Fence

logger = logging.getLogger(__name__)


class Herald:
    """Silent at first, and then heard by everybody.

    Args:
        store: where the newest heartbeat is left for other processes.
        fence: proves that it is ours to leave.
        show: called with each heartbeat that others may hear.
    """

    def __init__(self, store: Store, fence: Fence, show: Callable[[Beat], None]) -> None:
        self._store = store
        self._fence = fence
        self._show = show
        self._silent = True
        self._newest: Beat | None = None
        self._news = asyncio.Event()

    def push(self, beat: Beat) -> None:
        """There is a new heartbeat."""
        self._newest = beat
        if not self._silent:
            self._let_out(beat)

    def speak(self) -> None:
        """The topic was looked at, or cannot be: be silent no longer."""
        if self._silent:
            self._silent = False
            if self._newest is not None:
                self._let_out(self._newest)

    def _let_out(self, beat: Beat) -> None:
        self._show(beat)
        self._news.set()

    async def run(self) -> None:
        """Leave heartbeats in the database until cancelled. One that cannot be left is overtaken by the next.

        Raises:
            LeaseLost: another process writes the feed.
        """
        held = asyncio.get_running_loop().call_later(FEED_CHECK_HOLD, self.speak)
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                await self._leave()
        finally:
            held.cancel()

    async def _leave(self) -> None:
        beat = self._newest
        if beat is None:
            return

        def work(connection: Connection) -> None:
            self._fence.check(connection)
            write_beat(connection, beat.raw)

        try:
            await self._store.work(work)
        except StoreUnavailable as error:
            logger.warning("other processes are not told of a heartbeat: %s", error)
