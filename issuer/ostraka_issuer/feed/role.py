"""The feed role: whoever holds L sequences, signs, publishes and beats."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from random import Random, SystemRandom
from types import TracebackType
from typing import Self

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.records import Head, Position
from ostraka_schemas.root import RootDocument

from ..errors import FeedAheadError, FeedDown, StoreUnavailable
from ..limits import FEED_CHECK_HOLD, FEED_HEAD_START, FEED_PROMPT, FEED_RECENT_BYTES, FEED_RECENT_RECORDS
from ..settings import IssuerSettings
from ..store import Store
from .channel import Channel
from .expiry import Calendar, ends_at
from .follower import Beat, Followers
from .heartbeat import Heart
from .intents import WaitingIntent
from .local import LocalSource
from .log import FeedLog, StoredRecord
from .marks import Marks
from .places import Places
from .publisher import Publisher
from .regime import OpenKey, Regime, no_key
from .roots import Roots, Voices
from .sequencer import Sequencer
from .start import stored_start
from .state import FeedState

logger = logging.getLogger(__name__)


class FeedRole:
    """Runs the feed.

    Five tasks live and end together: sequencer, heart, publisher, marks, calendar. An error in one that is no outage
    ends all, and ``wait()`` raises it.

    Args:
        store: the migrated database.
        feed_key: L.
        settings: the issuer, the broker, the topic, the heartbeat interval.
        epoch: the epoch that the root document names.
        root: the root document in force; ``None`` while the feed has none.
        open_key: opens the key that a later root document names.
        root_changed: called with each root document that comes into force.
        clock: the time; by default the system's.
        random: chance for the pauses between attempts; by default the system's.

    Use ``async with``, or ``start()`` and ``stop()``. A role that has ended does not start again.
    """

    def __init__(
        self,
        store: Store,
        feed_key: SigningKey,
        settings: IssuerSettings,
        *,
        epoch: int = 1,
        root: RootDocument | None = None,
        open_key: OpenKey = no_key,
        root_changed: Callable[[RootDocument], None] = lambda _: None,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        clock = clock or SystemClock()
        random = random or SystemRandom()
        self._root_changed = root_changed
        self._clock = clock
        self._store = store
        self._log = FeedLog(store)
        self._roots = Roots(store)
        self._followers = Followers(self._log.after)
        self._nearby = Followers(self._log.after)
        self._channel = Channel(self._log.after)
        self._places = Places(self._log)
        self._marks = Marks(self._log, clock)
        self._sequencer = Sequencer(
            store,
            feed_key,
            issuer=settings.issuer,
            epoch=epoch,
            root=root,
            open_key=open_key,
            clock=clock,
            stored=self._stored,
            entered=self._entered,
            refused=self._refused,
        )
        self._heart = Heart(
            self._sequencer,
            self._log,
            lambda: self._sequencer.regime,
            issuer=settings.issuer,
            clock=clock,
            interval=settings.heartbeat_interval,
            beaten=self._beaten,
        )
        self._publisher = Publisher(
            self._log,
            self._followers,
            self._marks,
            self._voices,
            settings,
            looked=self._speak,
            connected=self._heart.beat_now,
            random=random,
        )
        find_start = stored_start(store, self._log, self._roots, lambda: self.regime, issuer=settings.issuer)
        self._local = LocalSource(self._nearby, self._heart.beat_now, random=random, find_start=find_start)
        self._calendar = Calendar(lambda: self._sequencer.regime, clock)
        self._head: Head | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._silent = True
        self._unspoken: Beat | None = None

    @property
    def regime(self) -> Regime:
        """What is in force: the root document, the epoch, the feed key."""
        return self._sequencer.regime

    async def signed_roots(self) -> list[bytes]:
        """Every root document that is in the feed, in ascending versions, as it travels.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        return await self._roots.signed_roots()

    @property
    def source(self) -> LocalSource:
        """The feed for a verifier in this process; it needs no broker."""
        return self._local

    @property
    def channel(self) -> Channel:
        """The feed for readers over HTTP."""
        return self._channel

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start. Waits for the database, not for the broker.

        Raises:
            FeedAheadError: the database holds records of a later epoch than the root document's.
            FeedError: what waits cannot be put into the feed.
            StoreUnavailable: the database does not answer.
        """
        head = await self._log.head()
        if head is not None and head.position.epoch > self.regime.epoch:
            raise FeedAheadError(
                f"the database is at {head.position}, the root document at epoch {self.regime.epoch}: "
                "it is an older copy"
            )
        await self._marks.load()
        newest, whole = await self._log.newest(FEED_RECENT_RECORDS, FEED_RECENT_BYTES)
        self._channel.begin(newest, whole=whole)
        self._head = head
        if await self._roots.waiting():
            # Before anybody compares the topic with the database: it may speak for an epoch that this one ends.
            await self._sequencer.settle()
        self._store.companion = self._sequencer
        self._task = asyncio.create_task(self._run(), name="ostraka-feed")

    async def stop(self) -> None:
        """End every task and wait for it. Records that are not acknowledged are sent when the feed starts again."""
        self._stopping = True
        self._channel.close()
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait({self._task})
        with contextlib.suppress(StoreUnavailable):
            await self._marks.write()

    async def wait(self) -> None:
        """Return when the feed was stopped.

        Raises:
            FeedError: it ended by itself; the error that ended it, or FeedDown from it.
        """
        if self._task is None:
            raise FeedDown("the feed was not started")
        await asyncio.wait({self._task})
        if not self._stopping:
            raise self._down()

    def wake(self) -> None:
        """Say that an intent was committed. Cheap; call it right after the commit."""
        self._sequencer.wake()

    def head(self) -> Head | None:
        """The newest record, as this process knows it."""
        return self._head

    async def position_of(self, txn: str, timeout: float) -> Position | None:
        """Where the intent of ``txn`` stands in the feed.

        Returns:
            Its place, or ``None`` if it has none within ``timeout`` seconds. It is committed and will get one.

        Raises:
            IntentSetAside: it cannot be put into the feed.
            FeedDown: the feed does not run.
            StoreUnavailable: the database does not answer.
        """
        if self._task is None or self._task.done():
            raise self._down()
        return await self._places.find(txn, timeout)

    async def is_published(self, position: Position) -> bool:
        """Whether the broker has acknowledged the record at ``position``.

        Waits a moment for it while a broker is there, and not at all while none is.
        """
        return await self._marks.reached(position, FEED_PROMPT if self._publisher.is_connected else 0)

    async def state(self) -> FeedState:
        """How the feed is doing.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        backlog = await self._log.backlog(self._marks.until or Position(self.regime.epoch, 0))
        running = self._task is not None and not self._task.done()
        root = self.regime.root
        age = None if backlog.oldest is None else max(0.0, self._clock.now().wall - backlog.oldest)
        return FeedState(
            running=running,
            head=self._head,
            connected=running and self._publisher.is_connected,
            publishing=self._publisher.doing if running else "ended",
            unpublished=backlog.size,
            oldest_unpublished=age,
            set_aside=self._sequencer.set_aside,
            refills=self._publisher.refills,
            foreign=self._publisher.foreign,
            root_version=self.regime.version,
            root_ends=None if root is None else ends_at(root),
            root_warning=self._calendar.look(),
            alarms=tuple(self._alarms(running)),
        )

    def _alarms(self, running: bool) -> Sequence[str]:
        alarms = []
        if not running:
            alarms.append(str(self._down()))
        if self._sequencer.set_aside:
            alarms.append(f"{self._sequencer.set_aside} committed changes cannot be put into the feed; see the log")
        if self._sequencer.trouble:
            alarms.append(f"changes are not sequenced: {self._sequencer.trouble}")
        if self._publisher.stopped:
            alarms.append(f"nothing is published: {self._publisher.stopped}")
        if self._heart.trouble:
            alarms.append(f"no heartbeat: {self._heart.trouble}")
        return alarms

    async def _run(self) -> None:
        held = asyncio.get_running_loop().call_later(FEED_CHECK_HOLD, self._speak)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._sequencer.run(), name="ostraka-sequencer")
                tasks.create_task(self._heart.run(), name="ostraka-heart")
                tasks.create_task(self._publisher.run(), name="ostraka-publisher")
                tasks.create_task(self._marks.run(), name="ostraka-marks")
                tasks.create_task(self._calendar.run(), name="ostraka-calendar")
        except ExceptionGroup as group:
            logger.critical("the feed has ended", exc_info=group.exceptions[0])
            raise group.exceptions[0] from None
        finally:
            held.cancel()
            self._store.companion = None
            self._places.end(FeedDown("the feed has ended"))

    def _down(self) -> Exception:
        if self._task is None:
            return FeedDown("the feed was not started")
        if self._stopping or not self._task.done() or self._task.cancelled():
            return FeedDown("the feed was stopped")
        error = self._task.exception()
        if isinstance(error, FeedAheadError):
            return error
        down = FeedDown(f"the feed has ended: {error or 'nobody knows why'}")
        down.__cause__ = error
        return down

    def _entered(self, regime: Regime) -> None:
        self._roots.told()
        self._heart.beat_now()
        if regime.root is not None:
            logger.info("root document version %d is in force, epoch %d", regime.version, regime.epoch)
            self._heart.keep_within(regime.root.limits.heartbeat_interval)
            self._root_changed(regime.root)

    async def _voices(self) -> Voices:
        return await self._roots.voices(self.regime)

    def _stored(self, records: Sequence[StoredRecord]) -> None:
        newest = records[-1]
        self._head = Head(newest.position, newest.hash)
        self._followers.push(records)
        asyncio.get_running_loop().call_later(FEED_HEAD_START, self._tell, records)

    def _tell(self, records: Sequence[StoredRecord]) -> None:
        self._places.tell(records)
        self._nearby.push(records)
        self._channel.push(records)

    def _beaten(self, beat: Beat) -> None:
        self._followers.push_beat(beat)
        self._nearby.push_beat(beat)
        # Kafka is sent nothing before the topic was looked at. Whoever reads over HTTP is to hear no more than that.
        if self._silent:
            self._unspoken = beat
        else:
            self._channel.push_beat(beat)

    def _speak(self) -> None:
        self._silent = False
        if self._unspoken is not None:
            self._channel.push_beat(self._unspoken)
            self._unspoken = None

    def _refused(self, intent: WaitingIntent, reason: str) -> None:
        self._places.refuse(intent.txn, reason)
