"""Keeps a snapshot of the feed that is never old: in memory for whoever asks, in the database for the next start.

It is made from what the issuer's own verifier has applied, so it holds nothing that a verifier would not believe. It is
made anew when it is two minutes old, a thousand records behind, or signed under a root document that is no longer in
force. While the verifier doubts its feed, none is made.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from ostraka_consumers.clock import Clock
from ostraka_consumers.trust.core import TrustCore
from ostraka_schemas.errors import OstrakaError

from ..limits import SNAPSHOT_EVERY, SNAPSHOT_LOOK, SNAPSHOT_RECORDS, SNAPSHOT_RETRY
from ..store import Store
from ..store.snapshots import replace_snapshot
from .regime import Regime
from .snapshot import Snapshot, make_snapshot

logger = logging.getLogger(__name__)


class Snapshots:
    """The newest snapshot.

    Args:
        core: what the issuer's own verifier has applied.
        regime: tells with which key, and under which root document, the feed is signed.
        issuer: ``iss``.
        store: where the newest one is kept.
        clock: tells ``iat``, and how old a snapshot is.
        made: called with each.
    """

    def __init__(
        self,
        core: TrustCore,
        regime: Callable[[], Regime],
        *,
        issuer: str,
        store: Store,
        clock: Clock,
        made: Callable[[Snapshot], None],
    ) -> None:
        self._core: Final = core
        self._regime: Final = regime
        self._issuer: Final = issuer
        self._store: Final = store
        self._clock: Final = clock
        self._made: Final = made
        self._made_at = 0.0
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
        """Make snapshots until cancelled."""
        while True:
            if self.is_due():
                await self._try()
            await asyncio.sleep(SNAPSHOT_LOOK if self._trouble is None else SNAPSHOT_RETRY)

    def is_due(self) -> bool:
        """Whether a new one is to be made now."""
        head, regime = self._core.head, self._regime()
        if head is None or self._core.doubted:
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

    async def _try(self) -> None:
        try:
            await self.make()
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
        if core.state is None or core.head is None:
            return
        snapshot = await make_snapshot(
            core.state, core.head, regime.key, iss=self._issuer, iat=int(at.wall), root_version=regime.version
        )
        self._newest, self._made_at = snapshot, at.monotonic
        self._made(snapshot)
        await replace_snapshot(self._store, snapshot.parts)
