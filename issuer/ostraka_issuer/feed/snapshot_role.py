"""The snapshots of the feed: two tasks beside it, so that nothing that happens to them happens to the feed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from random import Random, SystemRandom
from typing import Any, Final

from ostraka_consumers.clock import Clock
from ostraka_consumers.trust.core import TrustCore

from ..settings import IssuerSettings
from ..store import Store
from .regime import InForce, Regime
from .snapshot import Snapshot
from .snapshot_topic import SnapshotPublisher
from .snapshots import Snapshots

logger = logging.getLogger(__name__)


class SnapshotRole:
    """Makes snapshots, keeps the newest and publishes it, where the feed is written; has the newest everywhere.

    Args:
        core: what the issuer's own verifier has applied.
        regime: tells under what the feed is signed, or ``None`` while this process does not write it.
        in_force: tells the root document in force, to everybody.
        roots: gives every root document that is in the feed.
        store: where the newest one is kept.
        settings: the issuer, the broker, the topic.
        tenure: changes whenever the lease of the feed was lost and taken again; ``None`` while another process has it.
        random: chance for the pauses between attempts; by default the system's.
    """

    def __init__(
        self,
        core: TrustCore,
        regime: Callable[[], Regime | None],
        in_force: Callable[[], InForce],
        roots: Callable[[], Awaitable[Sequence[bytes]]],
        store: Store,
        settings: IssuerSettings,
        *,
        clock: Clock,
        tenure: Callable[[], object],
        random: Random | None = None,
    ) -> None:
        self._publisher: Final = SnapshotPublisher(roots, settings, random=random or SystemRandom(), tenure=tenure)
        self._snapshots: Final = Snapshots(
            core, regime, in_force, issuer=settings.issuer, store=store, clock=clock, made=self._publisher.offer
        )
        self._regime: Final = regime
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def newest(self) -> Snapshot | None:
        """The newest snapshot, once there is one."""
        return self._snapshots.newest

    async def start(self) -> None:
        """Start. Waits for nothing."""
        self._tasks = [
            asyncio.create_task(self._snapshots.run(), name="ostraka-snapshots"),
            asyncio.create_task(self._publisher.run(), name="ostraka-snapshot-publisher"),
        ]
        for task in self._tasks:
            task.add_done_callback(_ended)

    async def stop(self) -> None:
        """End both tasks and wait for it. The second time has no effect."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def troubles(self) -> list[str]:
        """What an operator must look at."""
        troubles = [] if self._snapshots.trouble is None else [self._snapshots.trouble]
        if any(task.done() for task in self._tasks):
            troubles.append("nobody makes or publishes them any more; see the log")
        return troubles

    def details(self) -> dict[str, Any]:
        """How it is doing, for /readyz."""
        newest, published = self._snapshots.newest, self._publisher.published
        return {
            "head": None if newest is None else str(newest.head.position),
            "published": None if published is None else str(published.head.position),
            "publishing": "another process publishes" if self._regime() is None else self._publisher.doing,
            "foreign": self._publisher.foreign,
        }


def _ended(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.critical("%s has ended", task.get_name(), exc_info=task.exception())
