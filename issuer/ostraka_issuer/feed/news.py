"""Tells that another process has committed something: intents, records, a heartbeat, the lease."""

import asyncio
import logging
from collections.abc import Callable

from ..errors import StoreUnavailable
from ..limits import FEED_POLL
from ..store import Store

logger = logging.getLogger(__name__)


class News:
    """Listens to the database, again and again if it must.

    Args:
        store: the database.
        changed: called after a change, and now and then without one.
    """

    def __init__(self, store: Store, changed: Callable[[], None]) -> None:
        self._store = store
        self._changed = changed

    async def run(self) -> None:
        """Listen until cancelled. Whoever needs news looks by itself meanwhile, every ``FEED_POLL`` seconds."""
        while True:
            try:
                async with self._store.listen(self._changed):
                    await asyncio.Event().wait()
            except StoreUnavailable as error:
                logger.warning("commits of other processes are noticed late: %s", error)
            await asyncio.sleep(FEED_POLL)
