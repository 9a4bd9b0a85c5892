"""The life of a token key, without any doing: which step is due, and what the keys look like after it.

    pre-activation --nbf, and the bus has it--> active --successor--> deactivated --last token ended--> destroyed
          \\________________________________________\\______ compromised ______/

1. A successor is published before it signs (pre-activation). It becomes active when its time has come *and* the bus has
   acknowledged its announcement: a verifier that hears the feed at all has met the key.
2. Whoever signs goes by what the feed says, not by what was decided: the successor signs once the event that makes it
   active has its place in the feed, and until then the predecessor goes on.
3. A key stops signing early enough for its last token to end before the key does (``exp``).
4. A key is destroyed when every token that it signed has ended.
5. A compromised key signs nothing from the moment it is called so, announced or not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from ostraka_issuer.errors import Conflict, NotFound
from ostraka_issuer.limits import KEY_LIFETIME
from ostraka_issuer.store.keys import TokenKeyRow
from ostraka_schemas.events import KeyState
from ostraka_schemas.jwk import Algorithm, VerificationKey
from ostraka_schemas.limits import CLOCK_TOLERANCE, TOKEN_KEYS_MAX

Rows = Sequence[TokenKeyRow]
CALLED_ACTIVE: Final = ("active", "deactivated")
"""States of keys that the feed may still call active."""

_SPENT: Final = ("deactivated", "compromised")


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """What new keys are like, and how long things take. Times in seconds.

    Attributes:
        lead: how long a successor is published before it signs.
        late: how long after its end a token may still be judged (root document).
        keys_max: how many keys may be published at once (root document).
    """

    algorithm: Algorithm
    token_lifetime: int
    lead: int
    lifetime: int = KEY_LIFETIME
    late: int = 0
    keys_max: int = TOKEN_KEYS_MAX


class Step(StrEnum):
    """What can be due."""

    ACTIVATE = "activate"
    SUCCEED = "succeed"
    DESTROY = "destroy"


@dataclass(frozen=True, slots=True)
class Due:
    """The step that is due now, or ``None`` and the time (seconds since the epoch) at which one may be."""

    step: Step | None
    at: float


def new_row(key: VerificationKey, policy: KeyPolicy, *, nbf: int, now: float, txn: str) -> TokenKeyRow:
    """The row of a new key: active if ``nbf`` has come, else pre-activation."""
    return TokenKeyRow(
        kid=key.kid,
        alg=key.alg,
        state="active" if nbf <= now else "pre-activation",
        state_at=now,
        state_txn=txn,
        nbf=nbf,
        exp=nbf + policy.lifetime,
        max_token_lifetime=policy.token_lifetime,
        created_at=now,
        jwk=dict(key.to_jwk()),
    )


def choose_signer(rows: Rows, now: float) -> TokenKeyRow | None:
    """The key that the feed, as far as it goes, calls active (rule 2), unless it is too old to sign (rule 3)."""
    called_active = [
        row
        for row in rows
        if (row.state == "active" and row.announced_at is not None)
        or (row.state == "deactivated" and row.announced_at is None)
    ]
    usable = [row for row in called_active if now <= last_signing(row)]
    return min(usable, key=lambda row: (row.nbf, row.created_at), default=None)


def last_signing(row: TokenKeyRow) -> float:
    """The last moment at which the key may sign a token."""
    return row.exp - row.max_token_lifetime - CLOCK_TOLERANCE


def due(rows: Rows, now: float, policy: KeyPolicy) -> Due:
    """What must happen now, or when to look again. One step at a time; ask again after each."""
    coming: list[float] = []
    for step, at in _steps(rows, now, policy):
        if at <= now:
            return Due(step, now)
        coming.append(at)
    return Due(None, min(coming, default=float("inf")))


def _steps(rows: Rows, now: float, policy: KeyPolicy) -> Iterable[tuple[Step, float]]:
    successor, active = pending(rows), _one(rows, "active")
    if successor is not None and successor.published:
        yield Step.ACTIVATE, successor.nbf
    if successor is None:
        yield Step.SUCCEED, now if active is None else last_signing(active) - policy.lead
    for row in rows:
        if row.state in _SPENT and row.announced_at is not None:
            yield Step.DESTROY, _destroyed_from(row, policy)


def succession(rows: Rows, now: float, lead: int) -> int:
    """``nbf`` of a successor made now: after ``lead``, but not after the active key has fallen silent."""
    return int(min(now + lead, _latest(rows, now))) + 1


def _latest(rows: Rows, now: float) -> float:
    """When a successor must take over at the latest: whoever signs until then falls silent."""
    active = _one(rows, "active")
    return now if active is None else max(now, last_signing(active))


def pending(rows: Rows) -> TokenKeyRow | None:
    """The successor that waits for its time, if there is one."""
    return _one(rows, "pre-activation")


def rescheduled(rows: Rows, row: TokenKeyRow, policy: KeyPolicy, *, lead: int, now: float, txn: str) -> TokenKeyRow:
    """A waiting successor that is to sign once it was published for ``lead``, or when the active key falls silent."""
    nbf = int(max(now, min(row.created_at + lead, _latest(rows, now)))) + 1
    return replace(_changed(row, "pre-activation", now, txn), nbf=nbf, exp=nbf + policy.lifetime)


def activated(rows: Rows, now: float, txn: str) -> list[TokenKeyRow]:
    """The successor active, the active key deactivated: the changed rows."""
    changed = [_changed(row, "deactivated", now, txn) for row in rows if row.state == "active"]
    return changed + [_changed(row, "active", now, txn) for row in rows if row.state == "pre-activation"]


def destroyed(rows: Rows, now: float, policy: KeyPolicy, txn: str) -> list[TokenKeyRow]:
    """Every key whose tokens have all ended, destroyed: the changed rows."""
    return [
        _changed(row, "destroyed", now, txn)
        for row in rows
        if row.state in _SPENT and row.announced_at is not None and _destroyed_from(row, policy) <= now
    ]


def compromised(rows: Rows, kid: str, now: float, txn: str) -> TokenKeyRow:
    """The key of that name, compromised.

    Raises:
        NotFound: there is none.
        Conflict: it is compromised or destroyed already.
    """
    row = next((row for row in rows if row.kid == kid), None)
    if row is None:
        raise NotFound("no token key has this kid; see: ostraka keys list")
    if row.state in ("compromised", "destroyed"):
        raise Conflict(f"the key is {row.state} already")
    return _changed(row, "compromised", now, txn)


def crowded_out(rows: Rows, now: float, policy: KeyPolicy, txn: str) -> list[TokenKeyRow]:
    """What must go so that one more key fits: compromised keys first, then the longest deactivated.

    Only for emergencies: tokens of a deactivated key that still live are refused from then on.
    """
    there = [row for row in rows if row.state != "destroyed"]
    spent = sorted((row for row in there if row.state in _SPENT), key=lambda r: (r.state != "compromised", r.state_at))
    return [_changed(row, "destroyed", now, txn) for row in spent[: max(0, len(there) + 1 - policy.keys_max)]]


def merge(rows: Rows, changed: Iterable[TokenKeyRow]) -> list[TokenKeyRow]:
    """``rows`` with those of the same kid replaced, and new ones behind them."""
    new = {row.kid: row for row in changed}
    return [new.pop(row.kid, row) for row in rows] + list(new.values())


def published_count(rows: Rows) -> int:
    """How many keys are in the key set."""
    return sum(row.state != "destroyed" for row in rows)


def _one(rows: Rows, state: str) -> TokenKeyRow | None:
    return next((row for row in rows if row.state == state), None)


def _changed(row: TokenKeyRow, state: KeyState, now: float, txn: str) -> TokenKeyRow:
    return replace(row, state=state, state_at=now, state_txn=txn, announced_at=None, published=False)


def _destroyed_from(row: TokenKeyRow, policy: KeyPolicy) -> float:
    # Counted from the announcement: until then the predecessor of a successor goes on signing (rule 2).
    return (row.announced_at or 0.0) + row.max_token_lifetime + 2 * CLOCK_TOLERANCE + policy.late
