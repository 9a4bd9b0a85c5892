"""The sequencer gives every committed intent its place in the feed.

It joins the transactions that write intents (``Store.announce``), so that a change and its place in the feed are one
commit; intents that were written otherwise, or in another process, it looks for when it is woken and every second.

One transaction a batch: the intents in order of commit, the head they follow, the signatures, the stored bytes and the
intents' places. Before it is committed nothing has left the database, so a crash leaves intents that still wait; after
it, only the stored bytes are ever sent. A position can therefore never show two contents. One writer at a time makes
the head that was read the head that is followed, and each such transaction first reads the fence (``lease``): a process
that has lost the lease places nothing.

**An intent that cannot become a record.** Whoever writes an intent refuses what a verifier would not read, so this is a
bug or a damaged row, and there is no good way out, only a least bad one:

* stopping here would hold back every later revocation, for ever, because of one row;
* no longer sending heartbeats would make every verifier refuse every token within ``max_staleness``;
* so it is set aside, and loudly: an error in the log, an alarm in ``FeedState`` (the issuer is not ready), and its
  caller gets an error instead of a place. What it announced is in the database already: its session gives out no new
  tokens, and the old ones end with their lifetime.

It is set aside in memory, not in the database: the row keeps waiting, and a version that can read it sequences it. Only
a key set that a newer one has overtaken stays out, for it would undo that one. Many such intents (``FEED_REFUSED``) are
no accident any more: then the feed goes down.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from ostraka_consumers.clock import Clock
from ostraka_consumers.uninterrupted import uninterrupted
from ostraka_schemas.events import RootPublished
from ostraka_schemas.root import read_root_bytes, read_root_unverified

from ..errors import FeedError, LeaseLost, StoreUnavailable
from ..failpoints import hit
from ..limits import FEED_BATCH, FEED_BATCHES_TO_SETTLE, FEED_POLL, FEED_REFUSED
from ..store import Store
from ..store.roots import newest_placed, raw_of
from . import intents
from .intents import WaitingIntent
from .log import StoredRecord, read_head
from .regime import OpenKey, Regime, no_key
from .signing import Batch, Scribe

logger = logging.getLogger(__name__)


class Sequencer:
    """Turns intents into stored records.

    Args:
        store: the database.
        regime: the root document in force, the epoch, and L, the key that signs the feed.
        issuer: ``iss`` of every record.
        guard: called first in each transaction that places records; raises LeaseLost if they are not ours to place.
        open_key: opens the key that a later root document names.
        clock: tells ``iat``.
        stored: called with each batch, right after its commit and in feed order.
        entered: called before that if another root document has come into force.
        refused: called with each intent that was set aside, and why.
        batch: intents a transaction takes at most.
    """

    def __init__(
        self,
        store: Store,
        regime: Regime,
        *,
        issuer: str,
        guard: Callable[[Connection], None],
        open_key: OpenKey = no_key,
        clock: Clock,
        stored: Callable[[Sequence[StoredRecord]], None],
        entered: Callable[[Regime], None] = lambda _: None,
        refused: Callable[[WaitingIntent, str], None],
        batch: int = FEED_BATCH,
    ) -> None:
        self._store = store
        self._regime = regime
        self._guard = guard
        self._open_key = open_key
        self._issuer = issuer
        self._clock = clock
        self._stored = stored
        self._entered = entered
        self._refused = refused
        self._batch = batch
        self._set_aside: dict[int, str] = {}
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self.trouble: str | None = None

    @property
    def regime(self) -> Regime:
        """Under what the newest record was signed, and the next one will be."""
        return self._regime

    @property
    def set_aside(self) -> int:
        """How many intents could not be made into records."""
        return len(self._set_aside)

    def wake(self) -> None:
        """Say that an intent was committed."""
        self._wake.set()

    async def run(self) -> None:
        """Sequence whenever there is something to, until cancelled. A database that does not answer is asked again.

        Raises:
            FeedError: too many intents cannot be made into records.
            LeaseLost: another process writes the feed.
        """
        while True:
            self._wake.clear()
            try:
                taken = await self.step()
            except StoreUnavailable as error:
                logger.error("intents cannot be sequenced: %s", error)
                taken = 0
            if taken < self._batch:
                await self._slumber()

    async def _slumber(self) -> None:
        try:
            async with asyncio.timeout(FEED_POLL):
                await self._wake.wait()
        except TimeoutError:
            return

    async def settle(self) -> None:
        """Return when every intent that was committed before the call has its place.

        Raises:
            StoreUnavailable: the database does not answer.
            FeedError: too many intents cannot be made into records, or they come faster than they are sequenced.
            LeaseLost: another process writes the feed.
        """
        # A batch that was not full took everything that was waiting when it began.
        for _ in range(FEED_BATCHES_TO_SETTLE):
            if await self.step() < self._batch:
                return
        raise FeedError("intents come faster than they can be sequenced")

    async def step(self) -> int:
        """Sequence one batch.

        Returns:
            How many intents were taken, those set aside included; fewer than a batch means that none is left.

        Raises:
            StoreUnavailable: nothing was changed.
            FeedError: too many intents cannot be made into records.
            LeaseLost: another process writes the feed; nothing was changed.
        """
        # Committed and not told, a batch would wait for somebody to look into the database.
        return await uninterrupted(self._step())

    def join(self, connection: Connection) -> Callable[[], None] | None:
        """Give what waits its place, in the transaction of whoever wrote it: see ``store.engine.Companion``."""
        if len(self._set_aside) > FEED_REFUSED:
            return None
        try:
            self._guard(connection)
        except LeaseLost:
            return self.wake  # The change is whoever writes the feed's to place; the next step finds out.
        waiting = self._waiting(connection)
        if self._is_behind(connection) or any(intent.event_uri == RootPublished.uri for intent in waiting):
            return self.wake  # Opening the key that a root document names is no work for the event loop.
        batch = self._sign(connection, waiting)
        return lambda: self._committed(batch)

    async def _step(self) -> int:
        async with self._turn:
            self._refuse_to_go_on()
            try:
                batch = await self._store.work(self._transact)
            except StoreUnavailable as error:
                self.trouble = str(error)
                raise
            self.trouble = None
            self._committed(batch)
            self._refuse_to_go_on()
        return batch.taken

    def _committed(self, batch: Batch) -> None:
        # Between the commit and this no other transaction can write, so batches are told in their order.
        if batch.regime is not self._regime:
            self._regime = batch.regime
            self._entered(batch.regime)
        if batch.records:
            hit("sequence.after_commit")
            self._stored(batch.records)
        for intent, reason in batch.refused:
            self._put_aside(intent, reason)
        if batch.taken == self._batch:
            self.wake()

    # The rest runs in the store's thread or in a joined transaction; its lock keeps others away from what it uses.

    def _transact(self, connection: Connection) -> Batch:
        self._guard(connection)
        if self._is_behind(connection):
            return self._catch_up(connection)
        return self._sign(connection, self._waiting(connection))

    def _waiting(self, connection: Connection) -> list[WaitingIntent]:
        return intents.waiting(connection, but=self._set_aside, limit=self._batch)

    def _is_behind(self, connection: Connection) -> bool:
        return newest_placed(connection) > self._regime.version

    def _catch_up(self, connection: Connection) -> Batch:
        # Another process has put a root document into the feed. Next time, intents are signed as it says.
        root = read_root_unverified(read_root_bytes(raw_of(connection, newest_placed(connection))))
        return Batch(self._batch, [], [], Regime(root.epoch, self._open_key(root, connection), root))

    def _sign(self, connection: Connection, waiting: Sequence[WaitingIntent]) -> Batch:
        if not waiting:
            return Batch(0, [], [], self._regime)
        hit("sequence.before_sign")
        scribe = Scribe(
            connection,
            issuer=self._issuer,
            now=self._clock.now().wall,
            head=read_head(connection),
            regime=self._regime,
            open_key=self._open_key,
        )
        batch = scribe.work(waiting)
        hit("sequence.before_commit")
        return batch

    def _put_aside(self, intent: WaitingIntent, reason: str) -> None:
        logger.critical("intent %d (txn %s) cannot be published and is set aside: %s", intent.id, intent.txn, reason)
        self._set_aside[intent.id] = reason
        self._refused(intent, reason)

    def _refuse_to_go_on(self) -> None:
        if len(self._set_aside) > FEED_REFUSED:
            raise FeedError(f"more than {FEED_REFUSED} intents cannot be made into records; see the log")
