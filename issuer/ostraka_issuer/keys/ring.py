"""The token keys at work: who signs now, and which step of their lives is taken when."""

import asyncio
import secrets
from collections.abc import Callable

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_issuer.errors import Conflict, NotFound, SigningUnavailable
from ostraka_issuer.identifiers import RandomBytes
from ostraka_issuer.limits import KEY_KEEPER_INTERVAL, KEY_KEEPER_LOOK, KEY_KEEPER_RETRY
from ostraka_issuer.store import Store, Transaction
from ostraka_issuer.store.keys import TokenKeyRow, read_keys
from ostraka_schemas.jwk import SigningKey

from . import schedule
from .changes import KeyChange, KeyChanges
from .opened import MAY_SIGN, OpenedKeys
from .schedule import KeyPolicy, Rows, Step
from .stores import KeyStore


class TokenKeys:
    """The token keys of one issuer.

    Args:
        key_store: where the private halves are.
        issuer: the issuer identifier, for the subject of the events.
    """

    def __init__(
        self,
        store: Store,
        key_store: KeyStore,
        *,
        issuer: str,
        policy: KeyPolicy,
        clock: Clock | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._opened = OpenedKeys(key_store)
        self._clock = clock or SystemClock()
        self._changes = KeyChanges(store, issuer=issuer, policy=policy, clock=self._clock, random_bytes=random_bytes)
        self._changing = asyncio.Lock()

    def follow(self, policy: KeyPolicy) -> None:
        """Make new keys by another policy from now on: the root document has changed."""
        self._changes.policy = policy

    async def open(self) -> None:
        """Open the private halves of all keys that may sign, so that a missing one shows now and not in a login.

        Raises:
            KeyStoreError: one is missing or does not open.
            StoreUnavailable
        """
        await self._opened.destroy_spent(await self._look())

    async def look(self) -> float:
        """Know what other processes have done to the keys: forget what is spent, open what may sign.

        Returns:
            Seconds until it is time to look again.

        Raises:
            KeyStoreError: a key is missing or does not open.
            StoreUnavailable
        """
        await self._look()
        return KEY_KEEPER_LOOK

    async def rows(self) -> tuple[TokenKeyRow, ...]:
        """All keys ever made, oldest first."""
        async with self._store.read() as tx:
            rows = await read_keys(tx)
        self._opened.forget_spent(rows)
        return rows

    async def signer(self, tx: Transaction) -> TokenKeyRow:
        """The key that signs now, as ``tx`` sees it. Its private half is open from here on.

        Raises:
            SigningUnavailable: none is active and announced.
            KeyStoreError: it is missing or does not open.
        """
        rows = await read_keys(tx)
        self._opened.forget_spent(rows)
        row = self.choose(rows)
        await self._opened.get(row.kid, tx)
        return row

    def choose(self, rows: Rows) -> TokenKeyRow:
        """The key of ``rows`` that signs now; none of those in ``CALLED_ACTIVE`` may be missing.

        Raises:
            SigningUnavailable: none is active and announced.
        """
        row = schedule.choose_signer(rows, self._now())
        if row is None:
            raise SigningUnavailable("no token key is active and announced on the feed yet")
        return row

    async def private(self, kid: str) -> SigningKey:
        """The private half of a key.

        Raises:
            KeyStoreError: it is missing or does not open.
            StoreUnavailable
        """
        return await self._opened.get(kid)

    async def rotate(self, lead: int | None = None, *, by: str = "home") -> KeyChange:
        """Publish a successor, which will sign after ``lead`` seconds; one that waits already is rescheduled.

        Args:
            by: who asks for it, for the audit trail.

        Raises:
            Conflict: as many keys are published as the root document allows.
            KeyStoreError, StoreUnavailable
        """
        wait = self._policy.lead if lead is None else lead
        async with self._changing:
            waiting = schedule.pending(await self.rows())
            if waiting is not None:
                return await self._changes.reschedule(waiting.kid, wait, by)
            change = await self._publish(wait, lambda rows, _: schedule.pending(rows) is None, by)
            if change is None:
                raise Conflict("another process has just published a successor")
            return change

    async def compromise(self, kid: str, *, by: str = "home", reason: str | None = None) -> KeyChange:
        """Call a key compromised: whatever it signed is refused. If it was the active one, a new one takes its place.

        Args:
            by: who asks for it, for the audit trail.

        Raises:
            NotFound: there is no such key.
            Conflict: it is compromised or destroyed already.
            KeyStoreError, StoreUnavailable
        """
        async with self._changing:
            may_sign = any(row.kid == kid and row.state in MAY_SIGN for row in await self.rows())
            fresh = await self._opened.make(self._policy.algorithm) if may_sign else None
            try:
                change = await self._changes.compromise(kid, fresh, by, reason)
            except (Conflict, NotFound):
                await self._opened.discard(fresh)
                raise
            self._opened.forget(kid)
            if change.successor is None:
                await self._opened.discard(fresh)
            return change

    async def keep(self) -> float:
        """Take the step that is due, if one is.

        Returns:
            Seconds until there may be another; 0 after a step.
        """
        now = self._now()
        rows = await self.rows()
        due = schedule.due(rows, now, self._policy)
        match due.step:
            case None:
                await self._opened.destroy_spent(rows)
                await self._opened.open_all(rows)
                # A state that is not announced or published yet will change without a time that could be known.
                waits = any(not row.published for row in rows if row.state != "destroyed")
                return min(max(due.at - now, 0.0), KEY_KEEPER_RETRY if waits else KEY_KEEPER_INTERVAL)
            case Step.SUCCEED:
                async with self._changing:
                    await self._publish(self._policy.lead, self._must_be_succeeded)
            case Step.ACTIVATE:
                await self._changes.step(Step.ACTIVATE, schedule.activated)
            case Step.DESTROY:
                await self._changes.step(Step.DESTROY, self._destroyed)
                await self._opened.destroy_spent(await self.rows())
        return 0.0

    async def _look(self) -> tuple[TokenKeyRow, ...]:
        rows = await self.rows()
        await self._opened.open_all(rows)
        return rows

    async def _publish(
        self, lead: int, wanted: Callable[[Rows, float], bool], by: str | None = None
    ) -> KeyChange | None:
        self._changes.see_room(await self.rows())
        key = await self._opened.make(self._policy.algorithm)
        try:
            change = await self._changes.publish(key.public, lead, wanted, by)
        except Conflict:
            await self._opened.discard(key)
            raise
        if change is None:
            await self._opened.discard(key)
        return change

    def _must_be_succeeded(self, rows: Rows, now: float) -> bool:
        return schedule.due(rows, now, self._policy).step is Step.SUCCEED

    def _destroyed(self, rows: Rows, now: float, txn: str) -> list[TokenKeyRow]:
        return schedule.destroyed(rows, now, self._policy, txn)

    @property
    def _policy(self) -> KeyPolicy:
        return self._changes.policy

    def _now(self) -> float:
        return self._clock.now().wall
