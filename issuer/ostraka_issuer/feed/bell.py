"""Waking thousands who wait for the same news, without keeping everyone else from their turn."""

import asyncio
from collections import deque

from ..limits import FEED_WAKE


class Bell:
    """Whoever waits when it rings is woken, a slice at a time.

    Between two slices the event loop does everything else: a heartbeat or a login is never behind the whole crowd.

    Args:
        slice_: how many are woken at once.
    """

    def __init__(self, slice_: int = FEED_WAKE) -> None:
        self._slice = slice_
        # A dict, for its order: whoever gives up leaves at once, from wherever it stands.
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._called: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        """Wait for the next ring. Whoever looks for news and then waits, without a pause between, misses none."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        try:
            await future
        finally:
            self._waiting.pop(future, None)

    def ring(self) -> None:
        """Wake everyone who waits now."""
        ringing = bool(self._called)
        self._called.extend(self._waiting)
        self._waiting.clear()
        if not ringing:
            self._wake()

    def _wake(self) -> None:
        for _ in range(min(self._slice, len(self._called))):
            future = self._called.popleft()
            if not future.done():
                future.set_result(None)
        if self._called:
            asyncio.get_running_loop().call_soon(self._wake)
