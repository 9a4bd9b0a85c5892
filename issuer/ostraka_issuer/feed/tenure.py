"""One process's part in the lease: it takes it, keeps it, proves it, and gives it back. The rules are in ``lease``."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection

from ostraka_consumers.uninterrupted import uninterrupted

from ..errors import LeaseLost, StoreUnavailable
from ..limits import LEASE_RENEW
from ..store import Store
from . import lease as rules
from .holder import has_ended
from .lease import Lease
from .rows import database_time, read_lease, write_lease

logger = logging.getLogger(__name__)


class Fence:
    """Proof, inside a transaction, that this process still is the one that writes the feed."""

    def __init__(self, lease: Lease) -> None:
        self.lease: Final = lease

    def check(self, connection: Connection) -> None:
        """Return if the lease is held. Until the end of the transaction nobody else can take it.

        Raises:
            LeaseLost: it is not.
        """
        if not rules.is_held(read_lease(connection), self.lease):
            raise LeaseLost("another process writes the feed")


class Tenure:
    """Takes the lease and keeps it.

    Args:
        store: the database.
        holder: names this process; no other process ever has the same name.
    """

    def __init__(self, store: Store, holder: str) -> None:
        self._store = store
        self.holder: Final = holder

    async def look(self) -> Lease:
        """The lease as it is. Raises StoreUnavailable."""
        return (await self._look())[0]

    async def take(self) -> Fence | None:
        """Take the lease if it is free.

        Raises:
            StoreUnavailable: the database does not answer; it was not taken, or will be free by itself.
        """
        # Looked at first: whoever stands by does not keep writers waiting.
        seen, now = await self._look()
        if seen.holder != self.holder and not rules.is_free(seen, now) and not has_ended(seen.holder):
            return None
        mine = await self._change(
            lambda lease, at: rules.taken(lease, self.holder, at, ended=has_ended(lease.holder)),
        )
        return None if mine is None else Fence(mine)

    async def keep(self, fence: Fence) -> None:
        """Renew the lease until cancelled. A database that does not answer is asked again: the fence decides.

        Raises:
            LeaseLost: another process has it.
        """
        while True:
            await asyncio.sleep(LEASE_RENEW)
            try:
                mine = await self._change(lambda lease, now: rules.renewed(lease, fence.lease, now))
            except StoreUnavailable as error:
                logger.warning("the lease of the feed is not renewed: %s", error)
                continue
            if mine is None:
                raise LeaseLost("another process writes the feed")

    async def release(self, fence: Fence) -> None:
        """Give the lease back. Where the database does not answer, it ends by itself."""
        try:
            await self._change(lambda lease, _: rules.released(lease, fence.lease))
        except StoreUnavailable as error:
            logger.warning("the lease of the feed is not given back: %s", error)

    async def _look(self) -> tuple[Lease, float]:
        async def asked() -> tuple[Lease, float]:
            async with self._store.read() as tx:
                return await tx.run_sync(lambda connection: (read_lease(connection), database_time(connection)))

        return await uninterrupted(asked())

    async def _change(self, change: Callable[[Lease, float], Lease | None]) -> Lease | None:
        def work(connection: Connection) -> Lease | None:
            new = change(read_lease(connection), database_time(connection))
            if new is not None:
                write_lease(connection, new)
            return new

        return await self._store.work(work)
