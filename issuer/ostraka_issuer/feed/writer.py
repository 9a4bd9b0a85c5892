"""The writer: for as long as this process has the lease, it sequences, signs, publishes and beats.

There is a new one each time the lease is taken. What an earlier one still has under way in the database is refused
there: every transaction that changes the feed reads the fence.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from random import Random

from ostraka_consumers.clock import Clock
from ostraka_schemas.records import Position

from ..errors import FeedError, StoreUnavailable
from ..happenings import NOBODY, Happenings
from ..limits import FEED_DRAIN, FEED_FOLLOW, FEED_PROMPT
from ..settings import IssuerSettings
from ..store import Store
from .follower import Beat, Followers
from .heartbeat import Heart
from .herald import Herald
from .intents import WaitingIntent
from .log import FeedLog, StoredRecord
from .marks import Marks
from .publisher import Publisher
from .regime import OpenKey, Regime
from .roots import Voices
from .sequencer import Sequencer
from .tenure import Fence
from .view import FeedView

logger = logging.getLogger(__name__)


class Writer:
    """Writes the feed.

    Five tasks live and end together: sequencer, heart, publisher, marks, herald.

    Args:
        store: the migrated database.
        fence: proves, in each transaction, that the lease is this process's.
        regime: the root document and L, as they were when the process started.
        view: shows what is written.
        settings: the issuer, the broker, the topic, the heartbeat interval.
        open_key: opens the key that a later root document names.
        clock: the time.
        random: chance for the pauses between attempts.
        happenings: told of what is placed and sent.
    """

    def __init__(
        self,
        store: Store,
        fence: Fence,
        regime: Regime,
        view: FeedView,
        settings: IssuerSettings,
        *,
        open_key: OpenKey,
        clock: Clock,
        random: Random,
        happenings: Happenings = NOBODY,
    ) -> None:
        self._store = store
        self._view = view
        self._happenings = happenings
        self.fence = fence
        self.followers = Followers(view.log.after)
        self.marks = Marks(FeedLog(store, fence.check), clock)
        self.herald = Herald(store, fence, view.speak)
        self.sequencer = Sequencer(
            store,
            regime,
            issuer=settings.issuer,
            guard=fence.check,
            open_key=open_key,
            clock=clock,
            stored=self._stored,
            entered=self._entered,
            refused=self._refused,
        )
        self.heart = Heart(
            self.sequencer,
            view.log,
            lambda: self.regime,
            issuer=settings.issuer,
            clock=clock,
            interval=settings.heartbeat_interval,
            beaten=self._beaten,
        )
        self.publisher = Publisher(
            view.log,
            self.followers,
            self.marks,
            self._voices,
            settings,
            looked=self.herald.speak,
            connected=self.heart.beat_now,
            random=random,
            happenings=happenings,
        )

    @property
    def regime(self) -> Regime:
        """What is in force: the root document, the epoch, the feed key."""
        return self.sequencer.regime

    async def prepare(self) -> None:
        """Come to where the feed is, before anything is published.

        Raises:
            FeedError: what waits cannot be put into the feed, or another process has the lease.
            KeyStoreError: the feed key of the root document in force is not here.
            StoreUnavailable: the database does not answer.
        """
        await self.marks.load()
        if self._view.in_force.version > self.regime.version or await self._view.roots.waiting():
            # Before anybody compares the topic with the database: it may speak for an epoch that this one ends.
            await self.sequencer.settle()

    async def run(self) -> None:
        """Write until cancelled.

        Raises:
            ExceptionGroup: of what ended it: LeaseLost, another FeedError, or a bug.
        """
        self._store.companion = self.sequencer
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.sequencer.run(), name="ostraka-sequencer")
                tasks.create_task(self.heart.run(), name="ostraka-heart")
                tasks.create_task(self.publisher.run(), name="ostraka-publisher")
                tasks.create_task(self.marks.run(), name="ostraka-marks")
                tasks.create_task(self.herald.run(), name="ostraka-herald")
        finally:
            self._store.companion = None

    async def drain(self) -> None:
        """Place what is committed, and wait for the broker to have it, within bounds. Errors end the wait."""
        with contextlib.suppress(StoreUnavailable, FeedError, TimeoutError):
            async with asyncio.timeout(FEED_DRAIN):
                await self.sequencer.settle()
                head = await self._view.log.head()
                while head is not None and self.publisher.is_connected:
                    if await self.marks.reached(head.position, FEED_PROMPT):
                        break
                    await asyncio.sleep(FEED_FOLLOW)

    async def close(self) -> None:
        """Write down what was published, once nothing runs any more."""
        with contextlib.suppress(StoreUnavailable, FeedError):
            await self.marks.write()

    async def is_published(self, position: Position) -> bool:
        """Whether the broker has acknowledged the record at ``position``; waits a moment while a broker is there."""
        return await self.marks.reached(position, FEED_PROMPT if self.publisher.is_connected else 0)

    def alarms(self) -> Sequence[str]:
        """What an operator must look at."""
        alarms = []
        if self.sequencer.set_aside:
            alarms.append(f"{self.sequencer.set_aside} committed changes cannot be put into the feed; see the log")
        if self.sequencer.trouble:
            alarms.append(f"changes are not sequenced: {self.sequencer.trouble}")
        if self.publisher.stopped:
            alarms.append(f"nothing is published: {self.publisher.stopped}")
        if self.heart.trouble:
            alarms.append(f"no heartbeat: {self.heart.trouble}")
        return alarms

    def _entered(self, regime: Regime) -> None:
        self.heart.beat_now()
        if regime.root is not None:
            self.heart.keep_within(regime.root.limits.heartbeat_interval)
        if regime.version > self._view.in_force.version:
            self._view.enter(regime.in_force)

    async def _voices(self) -> Voices:
        return await self._view.roots.voices(self.regime)

    def _stored(self, records: Sequence[StoredRecord]) -> None:
        self.followers.push(records)
        self._view.stored(records)
        self._happenings.placed(records)

    def _beaten(self, beat: Beat) -> None:
        self.followers.push_beat(beat)
        self._view.hear(beat)
        self.herald.push(beat)

    def _refused(self, intent: WaitingIntent, reason: str) -> None:
        self._view.places.refuse(intent.txn, reason)
