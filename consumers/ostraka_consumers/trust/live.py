"""Grants that somebody holds, found by what can end them. Pure: told of what came in and of the time, it tells whom.

The rules, in words:

1. What ends a grant is decided in one place (``lapse``). Here is decided only whom to ask, so the worst mistake here
   would be to ask too few. Whoever would be refused now is asked, the same as if all were.
2. A record makes those be asked whom it can meet: by token id, by session, subject or client, by the permissions that
   were asked of them. A key set: those whose key it changed. None of these looks at the others.
3. A cut-off for everyone, a new epoch, a root document and a snapshot, which may bring anything, make all be asked.
4. Time: ends stand in order, by the second; those who bear the same time without news are one group.
5. Those to be asked are taken in slices. Small groups come before large ones, so one revocation does not wait until a
   hundred thousand others were asked. Who waits to be asked waits once, whatever happens meanwhile.
6. Nothing is remembered of a grant that is held no more; of the second it would have ended in, a number until then.
"""

import math
from collections.abc import Callable, Collection
from heapq import heappop, heappush
from typing import Final

from ostraka_consumers.errors import VerificationError
from ostraka_consumers.limits import LIVE_SLICE
from ostraka_schemas.events import (
    IssuerCutoff,
    PermissionRevoked,
    RootPublished,
    SessionRevoked,
    TokenClaimsChange,
    TokenRevoked,
    TokensRevoked,
)
from ostraka_schemas.permissions import overlaps
from ostraka_schemas.records import Record
from ostraka_schemas.subjects import JwtId

from .core import TrustCore
from .cutoffs import Key
from .denylist import token_number
from .effects import TrustState, key_of
from .groups import Groups
from .instant import Instant
from .keyset import KeySet
from .lapse import Asked, Patience, permissions_in, why_over
from .tokens import GenuineToken


class Held:
    """One grant that is held, once for each who holds it.

    Args:
        tell: called once with the reason when it ends; it must neither raise nor come back.
    """

    __slots__ = ("asked", "patience", "tell", "token")

    def __init__(
        self, token: GenuineToken, asked: Asked, patience: Patience, tell: Callable[[VerificationError], None]
    ) -> None:
        self.token = token
        self.asked = asked
        self.patience = patience
        self.tell = tell


class LiveGrants:
    """All that are held. Call ``notice`` after everything the core took, ``look`` as time passes, then ``settle``.

    Attributes:
        looks: how often a grant was looked at, to see that it is no more than must be.
    """

    def __init__(self, core: TrustCore) -> None:
        self.looks = 0
        self._core: Final = core
        self._all: set[Held] = set()
        self._tokens: Groups[int, Held] = Groups()
        self._holders: Groups[Key, Held] = Groups()
        self._kids: Groups[str, Held] = Groups()
        self._permissions: Groups[str, Held] = Groups()
        self._ends: Groups[int, Held] = Groups()
        self._patience: Groups[Patience, Held] = Groups()
        self._order: list[int] = []
        self._ordered: set[int] = set()
        self._out: set[Patience] = set()
        self._first: set[Held] = set()
        self._rest: set[Held] = set()
        self._seen: tuple[TrustState | None, KeySet, int] = self._sight()

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, held: Held) -> bool:
        return held in self._all

    @property
    def held(self) -> Collection[Held]:
        """All of them. To be read before the next change."""
        return self._all

    # --- who is held -------------------------------------------------------------------------------------------------

    def why_over(self, held: Held, at: Instant) -> VerificationError | None:
        """Why it has ended; ``None`` while it lives."""
        return why_over(self._core, held.token, held.asked, held.patience, self._core.now(at))

    def add(self, held: Held) -> None:
        """Hold one that lives."""
        if not self._all:
            self._seen = self._sight()  # of what happened before, nobody was to be told
        self._all.add(held)
        token = held.token
        self._tokens.add(token.number, held)
        for key in token.holders[1:]:
            self._holders.add(key, held)
        self._kids.add(token.trusted.key.kid, held)
        for permission in permissions_in(held.asked):
            self._permissions.add(permission, held)
        self._ends.add(token.claims.exp, held)
        self._put_in_order(token.claims.exp)
        self._patience.add(held.patience, held)
        self._out.discard(held.patience)

    def discard(self, held: Held) -> None:
        """Forget one. It is told nothing any more."""
        if held not in self._all:
            return
        self._all.remove(held)
        token = held.token
        self._tokens.discard(token.number, held)
        for key in token.holders[1:]:
            self._holders.discard(key, held)
        self._kids.discard(token.trusted.key.kid, held)
        for permission in permissions_in(held.asked):
            self._permissions.discard(permission, held)
        self._ends.discard(token.claims.exp, held)
        self._patience.discard(held.patience, held)
        if held.patience not in self._patience:
            self._out.discard(held.patience)
        self._first.discard(held)
        self._rest.discard(held)

    # --- what happens ------------------------------------------------------------------------------------------------

    def notice(self, applied: Collection[Record], at: Instant) -> None:
        """See who must be asked, now that the core took something, which made ``applied`` take effect."""
        before, self._seen = self._seen, self._sight()
        state, keys, jumps = self._seen
        if state is not before[0] or jumps != before[2]:
            self._ask(self._all)
        elif keys is not before[1]:
            for kid in self._kids:
                if keys.get(kid) is not before[1].get(kid):
                    self._ask(self._kids.of(kid))
        for record in applied:
            self._notice(record)
        self.look(at)

    def _sight(self) -> tuple[TrustState | None, KeySet, int]:
        core = self._core
        return core.state, core.keys, core.counters["snapshots"]

    def _notice(self, record: Record) -> None:
        match record.event:
            case TokenRevoked():
                if isinstance(record.subject, JwtId):
                    self._ask(self._tokens.of(token_number(record.subject.jti)))
            case TokensRevoked(tokens=tokens):
                for jti, _ in tokens:
                    self._ask(self._tokens.of(token_number(jti)))
            case SessionRevoked() | TokenClaimsChange():
                self._ask(self._holders.of(key_of(record.subject)))
            case PermissionRevoked(permission=permission):
                for asked in self._permissions:
                    if overlaps(permission, asked):
                        self._ask(self._permissions.of(asked))
            case IssuerCutoff() | RootPublished():
                self._ask(self._all)

    def look(self, at: Instant) -> None:
        """See who must be asked because of the time."""
        now, order = self._core.now(at), self._order
        while order and (order[0] <= now or order[0] not in self._ends):
            end = heappop(order)
            self._ordered.discard(end)
            self._ask(self._ends.of(end))
        for patience in self._patience:
            if patience not in self._out and patience.is_out(self._core, now):
                self._out.add(patience)
                self._ask(self._patience.of(patience))

    def _ask(self, group: Collection[Held]) -> None:
        (self._first if len(group) <= LIVE_SLICE else self._rest).update(group)

    # --- whom it ends ------------------------------------------------------------------------------------------------

    def settle(self, at: Instant, most: int = LIVE_SLICE) -> bool:
        """Ask at most ``most`` of those who must be asked, and tell those who have ended. Whether more are waiting."""
        now = self._core.now(at)
        for _ in range(most):
            waiting = self._first or self._rest
            if not waiting:
                return False
            held = waiting.pop()
            self.looks += 1
            over = why_over(self._core, held.token, held.asked, held.patience, now)
            if over is None:
                self._lives_on(held)
            else:
                self.discard(held)
                held.tell(over)
        return bool(self._first or self._rest)

    def _lives_on(self, held: Held) -> None:
        # A clock that was set back may have made both untrue since they were noticed.
        self._put_in_order(held.token.claims.exp)
        self._out.discard(held.patience)

    def _put_in_order(self, end: int) -> None:
        if end not in self._ordered:
            self._ordered.add(end)
            heappush(self._order, end)

    def until_next(self, at: Instant) -> float | None:
        """Seconds until ``look`` can find something, without further news; ``None`` if nothing is held."""
        if not self._all:
            return None
        lasts = [patience.left(self._core, at) for patience in self._patience if patience not in self._out]
        if self._order:
            lasts.append(self._order[0] - self._core.now(at))
        return max(0.0, min(lasts, default=math.inf))

    def lasts(self, held: Held, at: Instant) -> float:
        """Seconds until the time alone could end it, without further news."""
        return min(held.token.claims.exp - self._core.now(at), held.patience.left(self._core, at))
