"""What every process shows of the feed, and needs of it: the same, whether it writes the feed or another one does.

Readers over HTTP, the process's own verifier, and requests that wait for their place are told here. Records come from
the writer in this process or from the database; whoever brings them, each is shown once, and none after a later one.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from random import Random

from ostraka_consumers.clock import Clock
from ostraka_schemas.records import Head
from ostraka_schemas.root import RootDocument

from ..limits import FEED_HEAD_START, FEED_RECENT_BYTES, FEED_RECENT_RECORDS
from ..store import Store
from .channel import Channel
from .expiry import Calendar
from .follower import Beat, Followers
from .local import LocalSource
from .log import FeedLog, StoredRecord
from .places import Places
from .regime import InForce
from .roots import Roots
from .start import stored_start

logger = logging.getLogger(__name__)


class FeedView:
    """The feed, as this process shows it.

    Args:
        store: the database.
        issuer: ``iss``.
        in_force: what is in force, as far as is known when it starts.
        ask_beat: asks for a heartbeat, so that a verifier that starts does not wait for the next one.
        root_changed: called with each root document that comes into force.
        clock: tells when a root document must be renewed.
        random: chance for the pauses between attempts.

    Attributes:
        head: the newest record, as this process knows it.
        in_force: the root document, and the epoch.
    """

    def __init__(
        self,
        store: Store,
        *,
        issuer: str,
        in_force: InForce,
        ask_beat: Callable[[], None],
        root_changed: Callable[[RootDocument], None],
        clock: Clock,
        random: Random,
    ) -> None:
        self.head: Head | None = None
        self.in_force = in_force
        self.log = FeedLog(store)
        self.roots = Roots(store)
        self.channel = Channel(self.log.after)
        self.places = Places(self.log)
        self.calendar = Calendar(lambda: self.in_force, clock)
        self.nearby = Followers(self.log.after)
        find_start = stored_start(store, self.log, self.roots, lambda: self.in_force, issuer=issuer)
        self.source = LocalSource(self.nearby, ask_beat, random=random, find_start=find_start)
        self._root_changed = root_changed
        self._shown: Head | None = None

    async def load(self) -> None:
        """Begin with what is stored. Raises StoreUnavailable."""
        newest, whole = await self.log.newest(FEED_RECENT_RECORDS, FEED_RECENT_BYTES)
        self.channel.begin(newest, whole=whole)
        self.head = self._shown = _head(newest[-1]) if newest else None

    def stored(self, records: Sequence[StoredRecord]) -> None:
        """This process has just stored ``records``. They are shown a moment later: the bus comes first."""
        self.head = _head(records[-1])
        asyncio.get_running_loop().call_later(FEED_HEAD_START, self.show, records)

    def show(self, records: Sequence[StoredRecord]) -> None:
        """Show stored records, in feed order; those that were shown before are left out."""
        if self._shown is not None:
            records = [record for record in records if record.position > self._shown.position]
        if not records:
            return
        self._shown = _head(records[-1])
        if self.head is None or self.head.position < self._shown.position:
            self.head = self._shown
        self.places.tell(records)
        self.nearby.push(records)
        self.channel.push(records)

    def hear(self, beat: Beat) -> None:
        """Give a heartbeat to the verifier of this process."""
        self.nearby.push_beat(beat)

    def speak(self, beat: Beat) -> None:
        """Give a heartbeat to readers over HTTP."""
        self.channel.push_beat(beat)

    def enter(self, in_force: InForce) -> None:
        """Another root document has come into force."""
        self.in_force = in_force
        self.roots.told()
        if in_force.root is not None:
            logger.info("root document version %d is in force, epoch %d", in_force.version, in_force.epoch)
            self._root_changed(in_force.root)


def _head(record: StoredRecord) -> Head:
    return Head(record.position, record.hash)
