"""The issuer's own verifier is fed from the database, so that its admin doors open and close with the broker away.

It starts from the stored snapshot if there is one that it can take; otherwise it reads the whole history.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Final

from ostraka_consumers.sources._backoff import Backoff
from ostraka_consumers.sources.base import FeedSink

from ..errors import StoreUnavailable
from ..limits import FEED_HEARD, FEED_MEMORY
from .follower import Follower, Followers
from .patience import new_backoff
from .start import FindStart, nowhere

_BREATH: Final = 32
"""After so many records (3 ms of verifying) the event loop gets a turn."""


class LocalSource:
    """A source (``ostraka_consumers.sources.base.Source``) inside the process that signs the feed.

    It delivers every stored record from where the verifier is, then each new one and each heartbeat as they are made.
    It may run more than once.

    Args:
        followers: where news come from.
        beat_now: asks for a heartbeat, so that a verifier that starts does not wait for the next one.
        find_start: finds the snapshot that a verifier that knows nothing may start from.
        memory: new records held while the verifier is busy; past that they are read from the database.
    """

    name = "local"

    def __init__(
        self,
        followers: Followers,
        beat_now: Callable[[], None],
        *,
        random: Random,
        find_start: FindStart = nowhere,
        memory: int = FEED_MEMORY,
    ) -> None:
        self._followers = followers
        self._beat_now = beat_now
        self._random = random
        self._find_start = find_start
        self._memory = memory

    async def run(self, sink: FeedSink) -> None:
        """Deliver until cancelled."""
        follower = self._followers.open(after=sink.position, memory=self._memory)
        backoff = new_backoff(self._random)
        self._beat_now()
        try:
            while True:
                try:
                    if sink.position is None:
                        await self._jump(follower, sink)
                    await self._deliver(follower, sink, backoff)
                except StoreUnavailable as error:
                    sink.report(f"waiting: {error}")
                    await asyncio.sleep(backoff.pause())
        finally:
            self._followers.close(follower)

    async def _jump(self, follower: Follower, sink: FeedSink) -> None:
        """Start from the stored snapshot; from the first record if there is none, or none that the verifier takes."""
        start = await self._find_start()
        if start is None:
            return
        try:
            async with asyncio.timeout(FEED_HEARD):
                beat = await self._followers.heard(start.position)
        except TimeoutError:
            return
        # The heartbeat first: no verifier jumps to a head of which it has not heard.
        for raw in (*start.roots, beat.raw, *start.parts):
            sink.deliver(raw)
            await asyncio.sleep(0)
        follower.rewind(sink.position)

    async def _deliver(self, follower: Follower, sink: FeedSink, backoff: Backoff) -> None:
        while True:
            portion = await follower.take()
            for count, record in enumerate(portion.records, start=1):
                sink.deliver(record.raw)
                if count % _BREATH == 0:
                    await asyncio.sleep(0)
            if portion.beat is not None:
                sink.deliver(portion.beat.raw)
            sink.report("reading")
            backoff.reset()
