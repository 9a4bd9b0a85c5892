"""The issuer's own verifier is fed from the database, so that its admin doors open and close with the broker away."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Final

from ostraka_consumers.sources._backoff import Backoff
from ostraka_consumers.sources.base import FeedSink

from ..errors import StoreUnavailable
from ..limits import FEED_MEMORY
from .follower import Follower, Followers
from .patience import new_backoff

_BREATH: Final = 32
"""After so many records (3 ms of verifying) the event loop gets a turn."""


class LocalSource:
    """A source (``ostraka_consumers.sources.base.Source``) inside the process that signs the feed.

    It delivers every stored record, then each new one and each heartbeat as they are made. It may run more than once.

    Args:
        followers: where news come from.
        beat_now: asks for a heartbeat, so that a verifier that starts does not wait for the next one.
        memory: new records held while the verifier is busy; past that they are read from the database.
    """

    name = "local"

    def __init__(
        self, followers: Followers, beat_now: Callable[[], None], *, random: Random, memory: int = FEED_MEMORY
    ) -> None:
        self._followers = followers
        self._beat_now = beat_now
        self._random = random
        self._memory = memory

    async def run(self, sink: FeedSink) -> None:
        """Deliver until cancelled."""
        follower = self._followers.open(memory=self._memory)
        backoff = new_backoff(self._random)
        self._beat_now()
        try:
            while True:
                try:
                    await self._deliver(follower, sink, backoff)
                except StoreUnavailable as error:
                    sink.report(f"waiting: {error}")
                    await asyncio.sleep(backoff.pause())
        finally:
            self._followers.close(follower)

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
