"""A change of accounts: what it does, what the feed is told and what the audit trail says, in one commit.

Every change runs in ``store.announce()``, so changes come one after the other, on every database: what one has read is
still true when it writes. Those who mint do not wait for it; what they must not miss is locked row by row.
"""

import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_issuer import audit
from ostraka_issuer.identifiers import RandomBytes, new_id
from ostraka_issuer.store import Store, Transaction
from ostraka_issuer.store.intents import add_intent

from .actors import Actor
from .names import check_reason
from .narrowing import Announcement, Cause


class Change:
    """One change under way, and afterwards what came of it.

    Attributes:
        tx: its transaction.
        cause: what its announcements have in common.
        by: who asked for it.
        txn: names the last announcement on the feed; ``None`` if there was nothing to announce.
        announced: how many there are.
        committed_at: seconds since the epoch, read just after the commit; 0 before.
        sessions: how many sessions it ended.
    """

    def __init__(self, tx: Transaction, cause: Cause, by: Actor, random_bytes: RandomBytes) -> None:
        self.tx = tx
        self.cause = cause
        self.by = by
        self.txn: str | None = None
        self.announced = 0
        self.committed_at = 0.0
        self.sessions = 0
        self._random_bytes = random_bytes

    async def announce(self, announcements: Iterable[Announcement]) -> None:
        """Write what the feed must say. Each intent has a name of its own."""
        for announcement in announcements:
            self.txn = new_id(self._random_bytes)
            self.announced += 1
            await add_intent(
                self.tx, txn=self.txn, subject=announcement.subject, event=announcement.event, now=self.cause.at
            )

    async def record(self, action: str, target: str | None, details: Mapping[str, Any] | None = None) -> None:
        """Write the audit trail's entry; after the announcements, whose name it keeps."""
        told = {
            **(details or {}),
            "reason": self.cause.reason,
            "announcements": self.announced if self.announced > 1 else None,
            "sessions_ended": self.sessions or None,
        }
        await audit.record(
            self.tx, at=self.cause.at, actor=self.by.id, action=action, target=target, details=told, txn=self.txn
        )


class Ledger:
    """Opens changes.

    Args:
        issuer: the issuer identifier.
    """

    def __init__(
        self,
        store: Store,
        *,
        issuer: str,
        clock: Clock | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self.store = store
        self.issuer = issuer
        self.random_bytes = random_bytes
        self._clock = clock or SystemClock()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock.now().wall

    @asynccontextmanager
    async def change(self, by: Actor, reason: str | None = None) -> AsyncIterator[Change]:
        """A change: committed at the end of the block, undone as a whole by an exception.

        Raises:
            BadRequest: the reason cannot be published.
            StoreUnavailable
        """
        check_reason(reason)
        async with self.store.announce() as tx:
            change = Change(tx, Cause(self.issuer, self.now(), reason), by, self.random_bytes)
            yield change
        change.committed_at = self.now()
