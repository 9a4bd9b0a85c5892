"""The transactions that change token keys: the rows, and the event that announces the whole key set, in one commit.

Several processes may do this on one database. Every step is decided anew inside the transaction that takes it: what was
due before may have been done by another process since.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from ostraka_consumers.clock import Clock
from ostraka_issuer import audit
from ostraka_issuer.errors import Conflict
from ostraka_issuer.identifiers import RandomBytes, new_id
from ostraka_issuer.store import Store, Transaction
from ostraka_issuer.store.intents import add_intent
from ostraka_issuer.store.keys import TokenKeyRow, insert_key, key_set, read_keys, update_key
from ostraka_schemas.jwk import SigningKey, VerificationKey
from ostraka_schemas.subjects import Uri

from . import schedule
from .schedule import KeyPolicy, Rows, Step


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


class KeyChanges:
    """Writes them. What it raises has changed nothing, but for StoreUnavailable, after which nobody can say.

    Attributes:
        policy: of new keys; it may be replaced at any time.
    """

    def __init__(
        self,
        store: Store,
        *,
        issuer: str,
        policy: KeyPolicy,
        clock: Clock,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self.policy = policy
        self._store = store
        self._subject = Uri(uri=issuer)
        self._clock = clock
        self._random_bytes = random_bytes

    async def publish(
        self, key: VerificationKey, lead: int, wanted: Callable[[Rows, float], bool], by: str | None = None
    ) -> KeyChange | None:
        """Publish a successor, if it is ``wanted`` by the rows and the time of the transaction that does it.

        Args:
            by: who asked for it, for the audit trail; nobody, if it was due. So for the others.

        Raises:
            Conflict: as many keys are published as the root document allows.
        """
        async with self._store.announce() as tx:
            rows, now, txn = await self._begin(tx)
            if not wanted(rows, now):
                return None
            self.see_room(rows)
            nbf = schedule.succession(rows, now, lead)
            successor = schedule.new_row(key, self.policy, nbf=nbf, now=now, txn=txn)
            await self._write(tx, rows, [], successor, txn, now)
            await _record(tx, by, "key.rotate", key.kid, txn, now)
        return KeyChange(txn, self._now(), key.kid, successor)

    async def reschedule(self, kid: str, lead: int, by: str | None = None) -> KeyChange:
        """Let the successor that waits sign once it was published for ``lead`` seconds.

        Raises:
            Conflict: it waits no more.
        """
        async with self._store.announce() as tx:
            rows, now, txn = await self._begin(tx)
            waiting = schedule.pending(rows)
            if waiting is None or waiting.kid != kid:
                raise Conflict("the waiting successor has just become active")
            successor = schedule.rescheduled(rows, waiting, self.policy, lead=lead, now=now, txn=txn)
            await self._write(tx, rows, [successor], None, txn, now)
            await _record(tx, by, "key.rotate", kid, txn, now)
        return KeyChange(txn, self._now(), kid, successor)

    async def compromise(
        self, kid: str, fresh: SigningKey | None, by: str | None = None, reason: str | None = None
    ) -> KeyChange:
        """Call a key compromised. If it is the active one, ``fresh`` signs from now on, and room is made for it.

        Raises:
            NotFound: there is no such key.
            Conflict: it is compromised or destroyed already.
        """
        successor = None
        async with self._store.announce() as tx:
            rows, now, txn = await self._begin(tx)
            changed = [schedule.compromised(rows, kid, now, txn)]
            if fresh is not None and any(row.kid == kid and row.state == "active" for row in rows):
                changed += schedule.crowded_out(schedule.merge(rows, changed), now, self.policy, txn)
                successor = schedule.new_row(fresh.public, self.policy, nbf=int(now), now=now, txn=txn)
            await self._write(tx, rows, changed, successor, txn, now)
            await _record(tx, by, "key.compromise", kid, txn, now, reason)
        return KeyChange(txn, self._now(), kid, successor)

    async def step(self, step: Step, change: Callable[[Rows, float, str], list[TokenKeyRow]]) -> None:
        """Take a step that changes rows, unless another process has taken it since it was found to be due."""
        async with self._store.announce() as tx:
            rows, now, txn = await self._begin(tx)
            if schedule.due(rows, now, self.policy).step is step:
                await self._write(tx, rows, change(rows, now, txn), None, txn, now)

    def see_room(self, rows: Rows) -> None:
        """See that the root document allows one key more.

        Raises:
            Conflict: it does not.
        """
        if schedule.published_count(rows) >= self.policy.keys_max:
            raise Conflict(f"{self.policy.keys_max} keys are published; wait until an old one is destroyed")

    async def _begin(self, tx: Transaction) -> tuple[Rows, float, str]:
        return await read_keys(tx), self._now(), new_id(self._random_bytes)

    async def _write(
        self, tx: Transaction, rows: Rows, changed: list[TokenKeyRow], added: TokenKeyRow | None, txn: str, now: float
    ) -> None:
        for row in changed:
            await update_key(tx, row)
        if added is not None:
            await insert_key(tx, added)
        after = schedule.merge(rows, changed if added is None else [*changed, added])
        await add_intent(tx, txn=txn, subject=self._subject, event=key_set(after), now=now)

    def _now(self) -> float:
        return self._clock.now().wall


async def _record(
    tx: Transaction, by: str | None, action: str, kid: str, txn: str, now: float, reason: str | None = None
) -> None:
    if by is not None:
        await audit.record(tx, at=now, actor=by, action=action, target=kid, details={"reason": reason}, txn=txn)
