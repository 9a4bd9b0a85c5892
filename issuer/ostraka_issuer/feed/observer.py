"""A process that does not write the feed shows what another one writes: it reads the database.

It is woken by the news that something was committed, and looks by itself every second. A heartbeat is read before the
records, so that it vouches for nothing that is not here yet; what it vouches for is committed before it. One that is
too old to make anybody fresh is passed over: whoever starts from a snapshot waits for one that vouches for it.
"""

import asyncio
import logging
from typing import NamedTuple

from sqlalchemy import Connection

from ostraka_consumers.clock import Clock
from ostraka_consumers.limits import FRESH_FOR
from ostraka_consumers.uninterrupted import uninterrupted
from ostraka_schemas import base64url, jws
from ostraka_schemas.errors import MalformedError
from ostraka_schemas.limits import RECORD_MAX_BYTES
from ostraka_schemas.records import Heartbeat, Position, read_payload
from ostraka_schemas.root import read_root_bytes, read_root_unverified

from ..errors import StoreUnavailable
from ..limits import FEED_PAGE, FEED_POLL
from ..store import Store
from ..store.roots import newest_placed, raw_of
from .follower import Beat
from .lease import is_free
from .log import StoredRecord, records_after
from .regime import InForce
from .rows import database_time, read_beat, read_lease
from .view import FeedView

logger = logging.getLogger(__name__)


class _Found(NamedTuple):
    beat: bytes | None
    records: list[StoredRecord]
    root: bytes | None
    lease_is_free: bool


class Observer:
    """Follows the database.

    Args:
        store: the database.
        view: shows what is found.
        clock: tells how old a heartbeat is.

    Attributes:
        lease_is_free: set when the lease was found to be, last time.
        trouble: why the database could not be read, or ``None``.
    """

    def __init__(self, store: Store, view: FeedView, clock: Clock) -> None:
        self._store = store
        self._view = view
        self._clock = clock
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._told: bytes | None = None
        self._unread: bytes | None = None
        self.lease_is_free = asyncio.Event()
        self.trouble: str | None = None

    def wake(self) -> None:
        """Say that something was committed."""
        self._news.set()

    def tell_again(self) -> None:
        """Somebody is without news: tell the newest heartbeat once more."""
        self._told = None
        self._news.set()

    async def run(self) -> None:
        """Follow until cancelled. A database that does not answer is asked again."""
        while True:
            self._news.clear()
            try:
                await self.catch_up()
            except StoreUnavailable as error:
                if self.trouble is None:
                    logger.error("the feed cannot be followed: %s", error)
                self.trouble = str(error)
            else:
                self.trouble = None
            await self._slumber()

    async def _slumber(self) -> None:
        try:
            async with asyncio.timeout(FEED_POLL):
                await self._news.wait()
        except TimeoutError:
            return

    async def catch_up(self) -> None:
        """Show everything that is committed by now. Raises StoreUnavailable."""
        async with self._turn:
            while len((await self._step()).records) == FEED_PAGE:
                continue

    async def _step(self) -> _Found:
        found = await uninterrupted(self._read())
        if found.root is not None:
            document = read_root_unverified(read_root_bytes(found.root))
            self._view.enter(InForce(document.epoch, document))
        self._view.show(found.records)
        if found.beat is not None and found.beat != self._told:
            self._tell(found.beat)
        if found.lease_is_free:
            self.lease_is_free.set()
        else:
            self.lease_is_free.clear()
        return found

    async def _read(self) -> _Found:
        head = self._view.head
        place, version = None if head is None else head.position, self._view.in_force.version
        async with self._store.read() as tx:
            return await tx.run_sync(_find, place, version)

    def _tell(self, raw: bytes) -> None:
        stored = read_stored_beat(raw)
        if stored is None:
            if raw != self._unread:
                logger.error("the stored heartbeat is damaged")
            self._unread = raw
            return
        self._told = raw
        if self._clock.now().wall - stored.iat < FRESH_FOR:
            beat = Beat(stored.head, raw)
            self._view.hear(beat)
            self._view.speak(beat)


def _find(connection: Connection, place: Position | None, version: int) -> _Found:
    beat = read_beat(connection)
    records = records_after(connection, place, FEED_PAGE)
    newest = newest_placed(connection)
    free = is_free(read_lease(connection), database_time(connection))
    return _Found(beat, records, raw_of(connection, newest) if newest > version else None, free)


def read_stored_beat(raw: bytes) -> Heartbeat | None:
    """A heartbeat as the database has it, not verified: whoever hears it does that. ``None`` if it is none."""
    try:
        content = read_payload(base64url.decode(jws.split(raw, max_bytes=RECORD_MAX_BYTES).payload))
    except MalformedError:
        return None
    return content if isinstance(content, Heartbeat) else None
