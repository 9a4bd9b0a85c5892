"""The token keys at work: who signs now, and the steps of their lives, each with its event in the same transaction."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_issuer.errors import Conflict, SigningUnavailable
from ostraka_issuer.identifiers import RandomBytes, new_id
from ostraka_issuer.limits import KEY_KEEPER_INTERVAL, KEY_KEEPER_RETRY
from ostraka_issuer.store import Store, Transaction
from ostraka_issuer.store.intents import add_intent
from ostraka_issuer.store.keys import TokenKeyRow, insert_key, key_set, read_keys, update_key
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.subjects import Uri

from . import schedule
from .files import KeyDirectory, KeyUse
from .schedule import KeyPolicy, Step


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A committed change of the key set.

    Attributes:
        txn: names it on the feed; ``committed_at`` is read just after the commit, seconds since the epoch.
        kid: the key it is about: the successor, or the compromised one.
        successor: the key that signs from now on or from ``nbf`` on, if the change brought one.
    """

    txn: str
    committed_at: float
    kid: str
    successor: TokenKeyRow | None = None


class TokenKeys:
    """The token keys of one issuer.

    Args:
        issuer: the issuer identifier, for the subject of the events.
    """

    def __init__(
        self,
        store: Store,
        directory: KeyDirectory,
        *,
        issuer: str,
        policy: KeyPolicy,
        clock: Clock | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._directory = directory
        self._subject = Uri(uri=issuer)
        self._policy = policy
        self._clock = clock or SystemClock()
        self._random_bytes = random_bytes
        self._private: dict[str, SigningKey] = {}
        self._changing = asyncio.Lock()

    def follow(self, policy: KeyPolicy) -> None:
        """Make new keys by another policy from now on: the root document has changed."""
        self._policy = policy

    async def open(self) -> None:
        """Open the private halves of all keys that may sign, so that a missing one shows now and not in a login.

        Raises:
            KeyStoreError: one is missing or does not open.
        """
        for row in await self.rows():
            if row.state in ("active", "pre-activation"):
                await self.private(row.kid)
            elif row.state == "destroyed":
                await asyncio.to_thread(self._directory.remove, KeyUse.TOKEN, row.kid)

    async def rows(self) -> tuple[TokenKeyRow, ...]:
        """All keys ever made, oldest first."""
        async with self._store.read() as tx:
            return await read_keys(tx)

    async def signer(self, tx: Transaction) -> TokenKeyRow:
        """The key that signs now, as ``tx`` sees it.

        Raises:
            SigningUnavailable: none is active and announced.
        """
        row = schedule.choose_signer(await read_keys(tx), self._now())
        if row is None:
            raise SigningUnavailable("no token key is active and announced on the feed yet")
        return row

    async def private(self, kid: str) -> SigningKey:
        """The private half of a key.

        Raises:
            KeyStoreError: it is missing or does not open.
        """
        key = self._private.get(kid)
        if key is None:
            key = await asyncio.to_thread(self._directory.load, KeyUse.TOKEN, kid)
            self._private[kid] = key
        return key

    async def rotate(self, lead: int | None = None) -> KeyChange:
        """Publish a successor, which will sign after ``lead`` seconds; one that waits already is rescheduled.

        Raises:
            Conflict: as many keys are published as the root document allows.
            KeyStoreError, StoreUnavailable
        """
        wait = self._policy.lead if lead is None else lead
        async with self._changing:
            rows = await self.rows()
            waiting = schedule.pending(rows)
            if waiting is not None:
                return await self._reschedule(waiting.kid, wait)
            if schedule.published_count(rows) >= self._policy.keys_max:
                raise Conflict(f"{self._policy.keys_max} keys are published; wait until an old one is destroyed")
            key = await self._new_key()
            txn, now = new_id(self._random_bytes), self._now()
            async with self._store.announce() as tx:
                rows = await read_keys(tx)
                if schedule.pending(rows) is not None:
                    raise Conflict("another process has just published a successor")
                nbf = schedule.succession(rows, now, wait)
                row = schedule.new_row(key.public, self._policy, nbf=nbf, now=now, txn=txn)
                await insert_key(tx, row)
                await self._announce(tx, [*rows, row], txn, now)
            return self._committed(txn, key.kid, row)

    async def compromise(self, kid: str) -> KeyChange:
        """Call a key compromised: whatever it signed is refused. If it was the active one, a new one takes its place.

        Raises:
            NotFound: there is no such key.
            Conflict: it is compromised or destroyed already.
            KeyStoreError, StoreUnavailable
        """
        async with self._changing:
            txn, now = new_id(self._random_bytes), self._now()
            was = next((row for row in await self.rows() if row.kid == kid), None)
            fresh = await self._new_key() if was is not None and was.state == "active" else None
            async with self._store.announce() as tx:
                rows = await read_keys(tx)
                changed = [schedule.compromised(rows, kid, now, txn)]
                row = None
                if fresh is not None:
                    changed += schedule.crowded_out(schedule.merge(rows, changed), now, self._policy, txn)
                    row = schedule.new_row(fresh.public, self._policy, nbf=int(now), now=now, txn=txn)
                    await insert_key(tx, row)
                await self._store_changes(tx, rows, changed, row, txn, now)
            self._private.pop(kid, None)
            return self._committed(txn, kid, row)

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
                # A state that is not announced or published yet will change without a time that could be known.
                waits = any(not row.published for row in rows if row.state != "destroyed")
                return min(max(due.at - now, 0.0), KEY_KEEPER_RETRY if waits else KEY_KEEPER_INTERVAL)
            case Step.SUCCEED:
                await self.rotate()
            case Step.ACTIVATE:
                await self._change(schedule.activated)
            case Step.DESTROY:
                await self._destroy()
        return 0.0

    async def _reschedule(self, kid: str, lead: int) -> KeyChange:
        def change(rows: Sequence[TokenKeyRow], now: float, txn: str) -> list[TokenKeyRow]:
            waiting = schedule.pending(rows)
            if waiting is None:
                raise Conflict("the waiting successor has just become active")
            return [schedule.rescheduled(waiting, self._policy, lead=lead, now=now, txn=txn)]

        txn, changed = await self._change(change)
        return self._committed(txn, kid, changed[0])

    async def _destroy(self) -> None:
        _, changed = await self._change(lambda rows, now, txn: schedule.destroyed(rows, now, self._policy, txn))
        for row in changed:
            self._private.pop(row.kid, None)
            await asyncio.to_thread(self._directory.remove, KeyUse.TOKEN, row.kid)

    async def _change(
        self, change: Callable[[Sequence[TokenKeyRow], float, str], list[TokenKeyRow]]
    ) -> tuple[str, list[TokenKeyRow]]:
        txn, now = new_id(self._random_bytes), self._now()
        async with self._store.announce() as tx:
            rows = await read_keys(tx)
            changed = change(rows, now, txn)
            await self._store_changes(tx, rows, changed, None, txn, now)
        return txn, changed

    async def _store_changes(
        self,
        tx: Transaction,
        rows: Sequence[TokenKeyRow],
        changed: list[TokenKeyRow],
        added: TokenKeyRow | None,
        txn: str,
        now: float,
    ) -> None:
        for row in changed:
            await update_key(tx, row)
        await self._announce(tx, schedule.merge(rows, changed if added is None else [*changed, added]), txn, now)

    async def _announce(self, tx: Transaction, rows: Sequence[TokenKeyRow], txn: str, now: float) -> None:
        await add_intent(tx, txn=txn, subject=self._subject, event=key_set(rows), now=now)

    async def _new_key(self) -> SigningKey:
        key = await asyncio.to_thread(SigningKey.generate, self._policy.algorithm)
        # On disk before anybody hears of it. A crash in between leaves a sealed file that nothing names.
        await asyncio.to_thread(self._directory.save, KeyUse.TOKEN, key)
        self._private[key.kid] = key
        return key

    def _committed(self, txn: str, kid: str, successor: TokenKeyRow | None) -> KeyChange:
        return KeyChange(txn, self._now(), kid, successor)

    def _now(self) -> float:
        return self._clock.now().wall
