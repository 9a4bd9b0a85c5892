"""Keeps a snapshot of the feed that is never old: in memory for whoever asks, in the database for the next start.

Where the feed is written, it is made from what the issuer's own verifier has applied, so it holds nothing that a
verifier would not believe. It is made anew when it is two minutes old, a thousand records behind, or signed under a
root document that is no longer in force. While the verifier doubts its feed, none is made. Everywhere else it is the
one that the database keeps.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from ostraka_consumers.clock import Clock
from ostraka_consumers.trust.core import TrustCore
from ostraka_schemas.errors import OstrakaError

from ..limits import SNAPSHOT_EVERY, SNAPSHOT_LOOK, SNAPSHOT_RECORDS, SNAPSHOT_RETRY
from ..store import Store
from ..store.snapshots import read_snapshot, replace_snapshot, snapshot_mark
from .regime import InForce, Regime
from .snapshot import Snapshot, make_snapshot, read_parts

logger = logging.getLogger(__name__)


class Snapshots:
    """The newest snapshot.

    Args:
        core: what the issuer's own verifier has applied.
        regime: tells with which key, and under which root document, the feed is signed; ``None`` where it is not
            written.
        in_force: tells the root document in force, to everybody.
        issuer: ``iss``.
        store: where the newest one is kept.
        clock: tells ``iat``, and how old a snapshot is.
        made: called with each that is made here, and with ``None`` where none is made any more.
    """

    def __init__(
        self,
        core: TrustCore,
        regime: Callable[[], Regime | None],
        in_force: Callable[[], InForce],
        *,
        issuer: str,
        store: Store,
        clock: Clock,
        made: Callable[[Snapshot | None], None],
    ) -> None:
        self._core: Final = core
        self._regime: Final = regime
        self._in_force: Final = in_force
        self._issuer: Final = issuer
        self._store: Final = store
        self._clock: Final = clock
        self._made: Final = made
        self._made_at = 0.0
        self._mark: bytes | None = None
        self._newest: Snapshot | None = None
        self._trouble: str | None = None

    @property
    def newest(self) -> Snapshot | None:
        """The newest snapshot, once there is one."""
        return self._newest

    @property
    def trouble(self) -> str | None:
        """Why the last one could not be made or kept."""
        return self._trouble

    async def run(self) -> None:
        """Make snapshots, or follow those of whoever makes them, until cancelled."""
        while True:
            if self._regime() is None:
                await self._try(self._follow)
            elif self.is_due():
                await self._try(self.make)
            await asyncio.sleep(SNAPSHOT_LOOK if self._trouble is None else SNAPSHOT_RETRY)

    def is_due(self) -> bool:
        """Whether a new one is to be made now."""
        head, regime = self._core.head, self._regime()
        if head is None or regime is None or self._core.doubted:
            return False
        # The verifier is about to hear of the new regime; what it has applied by now belongs to the old one.
        root = self._core.root_in_force
        if head.position.epoch != regime.epoch or root is None or root.version != regime.version:
            return False
        newest = self._newest
        return (
            newest is None
            or (newest.root_version, newest.kid) != (regime.version, regime.key.kid)
            or head.position.seq - newest.head.position.seq >= SNAPSHOT_RECORDS
            or self._clock.now().monotonic - self._made_at >= SNAPSHOT_EVERY
        )

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except OstrakaError as error:
            if str(error) != self._trouble:
                logger.error("no snapshot: %s", error)
            self._trouble = str(error)
        else:
            self._trouble = None

    async def make(self) -> None:
        """Make one now, and keep it.

        Raises:
            MalformedError: there is more to tell than fits into a snapshot.
            StoreUnavailable: it is made and served, but not kept.
        """
        core, regime, at = self._core, self._regime(), self._clock.now()
        if core.state is None or core.head is None or regime is None:
            return
        snapshot = await make_snapshot(
            core.state, core.head, regime.key, iss=self._issuer, iat=int(at.wall), root_version=regime.version
        )
        self._newest, self._made_at, self._mark = snapshot, at.monotonic, None
        self._made(snapshot)
        await replace_snapshot(self._store, snapshot.parts)

    async def _follow(self) -> None:
        """Take the one that the database keeps, if it is another one, whole, and signed as it must be now."""
        self._made(None)
        root, mark = self._in_force().root, await snapshot_mark(self._store)
        if root is None or mark is None or mark == self._mark:
            return
        found = await read_parts(await read_snapshot(self._store), root.feed_keys(), iss=self._issuer)
        self._mark = mark
        if found is not None:
            self._newest = found
