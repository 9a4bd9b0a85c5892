"""The feed in a process: it writes the feed while it has the lease, and otherwise shows what another process writes.

Of the processes on one database, those that may write ask for the lease; one has it. It is the *writer*. The others
*stand by*: they follow the database, so their readers, verifiers and callers see the same, and take over when the lease
is free (``lease``). A process that has no feed key never asks for it, and only follows.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from random import Random, SystemRandom
from types import TracebackType
from typing import Self

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.records import Head, Position
from ostraka_schemas.root import RootDocument

from ..errors import FeedAheadError, FeedDown, IssuerError
from ..happenings import NOBODY, Happenings
from ..settings import IssuerSettings
from ..store import Store
from .channel import Channel
from .expiry import ends_at
from .holder import holder_name
from .local import LocalSource
from .news import News
from .observer import Observer
from .published import Published
from .regime import InForce, OpenKey, Regime, no_key
from .state import FeedState
from .tenure import Fence, Tenure
from .turns import Turns
from .view import FeedView
from .writer import Writer

logger = logging.getLogger(__name__)


class FeedRole:
    """Runs the feed in this process.

    An error of the writer that is neither an outage nor the loss of the lease ends everything; ``wait()`` raises it.

    Args:
        store: the migrated database.
        feed_key: L; ``None`` if this process never writes.
        settings: the issuer, the broker, the topic, the heartbeat interval.
        epoch: the epoch that the root document names.
        root: the root document in force; ``None`` while the feed has none.
        open_key: opens the key that a later root document names.
        root_changed: called with each root document that comes into force.
        clock: the time; by default the system's.
        random: chance for the pauses between attempts; by default the system's.
        happenings: told of what is placed and sent.

    Use ``async with``, or ``start()`` and ``stop()``. A role that has ended does not start again.
    """

    def __init__(
        self,
        store: Store,
        feed_key: SigningKey | None,
        settings: IssuerSettings,
        *,
        epoch: int = 1,
        root: RootDocument | None = None,
        open_key: OpenKey = no_key,
        root_changed: Callable[[RootDocument], None] = lambda _: None,
        clock: Clock | None = None,
        random: Random | None = None,
        happenings: Happenings = NOBODY,
    ) -> None:
        self._store = store
        self._happenings = happenings
        self._clock = clock or SystemClock()
        self._random = random or SystemRandom()
        self._settings = settings
        self._open_key = open_key
        self._view = FeedView(
            store,
            issuer=settings.issuer,
            in_force=InForce(epoch, root),
            ask_beat=self._ask_beat,
            root_changed=root_changed,
            clock=self._clock,
            random=self._random,
        )
        self._tenure = Tenure(store, holder_name())
        self._observer = Observer(store, self._view, self._clock)
        new_writer = None if feed_key is None else partial(self._new_writer, Regime(epoch, feed_key, root))
        self._turns = Turns(self._tenure, self._observer, new_writer)
        self._published = Published(self._view.log, self._clock)
        self._news = News(store, self._turns.wake)
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    # --- what is seen ------------------------------------------------------------------------------------------------

    @property
    def writer(self) -> Writer | None:
        """What writes the feed, while this process does."""
        return self._turns.writer

    @property
    def in_force(self) -> InForce:
        """The root document in force, and the epoch."""
        return self._view.in_force

    @property
    def source(self) -> LocalSource:
        """The feed for a verifier in this process; it needs no broker."""
        return self._view.source

    @property
    def channel(self) -> Channel:
        """The feed for readers over HTTP."""
        return self._view.channel

    async def signed_roots(self) -> list[bytes]:
        """Every root document that is in the feed, in ascending versions, as it travels.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        return await self._view.roots.signed_roots()

    def head(self) -> Head | None:
        """The newest record, as this process knows it."""
        return self._view.head

    # --- life --------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start. Waits for the database, not for the broker. If the lease is free, this process is the writer then.

        Raises:
            FeedAheadError: the database holds records of a later epoch than the root document's.
            FeedError: what waits cannot be put into the feed.
            StoreUnavailable: the database does not answer.
        """
        await self._view.load()
        await self._observer.catch_up()
        head = self._view.head
        if head is not None and head.position.epoch > self.in_force.epoch:
            raise FeedAheadError(
                f"the database is at {head.position}, the root document at epoch {self.in_force.epoch}: "
                "it is an older copy"
            )
        await self._turns.begin()
        self._task = asyncio.create_task(self._run(), name="ostraka-feed")

    async def stop(self) -> None:
        """End every task and wait for it. What is committed is placed and published first, within ``FEED_DRAIN``, as
        far as the broker takes it; the rest is sent by whoever writes next."""
        self._stopping = True
        writer = self.writer
        if self._task is None:
            self.channel.close()
            return
        if writer is not None and not self._task.done():
            await writer.drain()
        self.channel.close()
        self._task.cancel()
        await asyncio.wait({self._task})
        await self._turns.end(writer)

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

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._news.run(), name="ostraka-news")
                tasks.create_task(self._view.calendar.run(), name="ostraka-calendar")
                tasks.create_task(self._turns.run(), name="ostraka-turns")
        except ExceptionGroup as group:
            error = _first(group)
            # What is no bug says in its words what an operator has to know; whoever waits for the feed hears them.
            logger.critical("the feed has ended", exc_info=None if isinstance(error, IssuerError) else error)
            raise error from None
        finally:
            self._view.places.end(FeedDown("the feed has ended"))

    # --- what is asked and told --------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Say that an intent was committed. Cheap; call it right after the commit."""
        if self.writer is not None:
            self.writer.sequencer.wake()

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
        return await self._view.places.find(txn, timeout)

    async def is_published(self, position: Position) -> bool:
        """Whether the broker has acknowledged the record at ``position``.

        Waits a moment for it while a broker is there, and not at all while none is.
        """
        if self.writer is not None:
            return await self.writer.is_published(position)
        return await self._published.reached(position)

    async def state(self) -> FeedState:
        """How the feed is doing.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        running = self._task is not None and not self._task.done()
        writer = self.writer if running else None
        lease = await self._tenure.look()
        done = await self._view.log.published() if writer is None else writer.marks.until
        backlog = await self._view.log.backlog(done or Position(self.in_force.epoch, 0))
        root = self.in_force.root
        return FeedState(
            running=running,
            writing=writer is not None,
            lease=lease,
            head=self._view.head,
            connected=writer is not None and writer.publisher.is_connected,
            publishing=self._doing(running),
            unpublished=backlog.size,
            oldest_unpublished=None if backlog.oldest is None else max(0.0, self._clock.now().wall - backlog.oldest),
            set_aside=0 if writer is None else writer.sequencer.set_aside,
            refills=0 if writer is None else writer.publisher.refills,
            foreign=0 if writer is None else writer.publisher.foreign,
            root_version=self.in_force.version,
            root_ends=None if root is None else ends_at(root),
            root_warning=self._view.calendar.look(),
            alarms=tuple(self._alarms(running)),
        )

    def _doing(self, running: bool) -> str:
        if not running:
            return "ended"
        return "another process publishes" if self.writer is None else self.writer.publisher.doing

    def _alarms(self, running: bool) -> Sequence[str]:
        if not running:
            return [str(self._down()), *([] if self.writer is None else self.writer.alarms())]
        if self.writer is not None:
            return self.writer.alarms()
        return [] if self._observer.trouble is None else [f"it cannot be followed: {self._observer.trouble}"]

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

    def _ask_beat(self) -> None:
        self._turns.ask_beat()

    def _new_writer(self, regime: Regime, fence: Fence) -> Writer:
        return Writer(
            self._store,
            fence,
            regime,
            self._view,
            self._settings,
            open_key=self._open_key,
            clock=self._clock,
            random=self._random,
            happenings=self._happenings,
        )


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
