"""Snapshots: the state at a head instead of the records that led to it.

Rules, for parts whose signature was verified:

1. Parts belong together if head, time and count are the same, and their ``jti`` up to its last dot. At most one
   snapshot is gathered, the newest.
2. A snapshot is taken only if it is whole, further on than what is applied, and a heartbeat has spoken of its head or
   of a later one: the jump leads nowhere the issuer has not been.
3. It is refused while the root document that was in force at its head is missing: that one bounds what it may say.
4. It only ever adds: what is revoked here and not in the snapshot stays revoked. The key set is replaced, as by an
   event; a key compromised once stays so.
5. What it revokes is kept until every token minted before its head is dead, whatever ``until`` says: that may have been
   told by a clock that was slow.
"""

import math
from typing import Final, NamedTuple

from ostraka_consumers.limits import HOLDER_WEIGHT, STATE_WEIGHT_MAX
from ostraka_schemas.events import PublishedKey
from ostraka_schemas.records import Position
from ostraka_schemas.snapshots import (
    NUMBER_BYTES,
    Contents,
    CutoffEntry,
    Entry,
    RemainingEntry,
    RevokedEntry,
    SnapshotPart,
    SnapshotState,
    numbers_in,
    read_denied,
)

from .alarms import Alarm
from .cutoffs import Cutoffs, Key, Moment, Narrowings
from .denylist import DenyList
from .effects import TrustState


class SnapshotName(NamedTuple):
    """What parts of one snapshot have in common. Names compare by age."""

    position: Position
    iat: int
    hash: bytes
    parts: int
    id: str


class Gathering:
    """The parts of one snapshot so far: what they say is put together as they come.

    Args:
        part: one of them; it is not taken yet.
        span: of the deny list that it is gathered for.
        keep: whether to hold on to their bytes.
    """

    def __init__(self, part: SnapshotPart, span: int, *, keep: bool = False) -> None:
        self.name: Final = name_of(part)
        self.head: Final = part.head
        self.root_version: Final = part.root_version
        self.denied: Final = DenyList(span)
        self.cutoffs: Final = Cutoffs()
        self.narrowings: Final = Narrowings()
        self.latest_iat = 0
        self.keys: list[PublishedKey] | None = None
        self.compromised: list[str] = []
        self.weight = 0
        self.raws: list[bytes] = []
        self._keep = keep
        self._missing = set(range(1, part.parts + 1))

    @property
    def is_whole(self) -> bool:
        """Whether no part is missing."""
        return not self._missing

    def add(self, part: SnapshotPart, raw: bytes) -> bool:
        """Take a part of this snapshot, with its bytes. Whether it was missing.

        Raises:
            MalformedError: token numbers that are none; nothing of the part is taken.
        """
        if part.part not in self._missing:
            return False
        state = part.state
        denied = [(entry.until, read_denied(entry)) for entry in state.denied]
        self._missing.remove(part.part)
        self.weight += HOLDER_WEIGHT * (len(state.cutoffs) + len(state.revoked) + len(state.remaining))
        self.weight += sum(len(left.permissions) for left in state.remaining)
        self.weight += sum(len(data) // NUMBER_BYTES for _, data in denied)
        if self.weight <= STATE_WEIGHT_MAX:
            for until, data in denied:
                self.denied.add_many(numbers_in(data), until)
            self._add(state)
            if self._keep:
                self.raws.append(raw)
        return True

    def _add(self, state: SnapshotState) -> None:
        self.latest_iat = max(self.latest_iat, state.latest_iat)
        if state.keys is not None:
            self.keys, self.compromised = state.keys, state.compromised
        for cutoff in state.cutoffs:
            self.cutoffs.add(Key(cutoff.level, cutoff.id), _moment(cutoff), cutoff.until)
        for left in state.remaining:
            self.narrowings.keep_only(Key(left.level, left.id), left.permissions, _moment(left), left.until)
        for taken in state.revoked:
            self.narrowings.revoke(taken.permission, _moment(taken), taken.until)


def name_of(part: SnapshotPart) -> SnapshotName:
    """The name of the snapshot that a part belongs to."""
    return SnapshotName(part.head.position, part.iat, part.head.hash, part.parts, part.jti.rpartition(".")[0])


def take(gathered: Gathering, state: TrustState, now: float) -> Alarm | None:
    """Add a whole snapshot to a state at the time ``now``. Returns what a person must look at, if anything."""
    if gathered.weight + state.weight > STATE_WEIGHT_MAX:
        return Alarm.STATE_FULL
    state.take_over(Moment(gathered.head.position, gathered.latest_iat), gathered.name.iat, now)
    state.cutoffs.absorb(gathered.cutoffs)
    state.narrowings.absorb(gathered.narrowings)
    state.denied.absorb(gathered.denied)
    return None if gathered.keys is None else state.replace_keys(gathered.keys, gathered.compromised)


def contents_of(state: TrustState) -> Contents:
    """A copy of the whole state, to be cut into the parts of a snapshot. What changes meanwhile does not change it.

    Only the copy is made at once; its entries are made when they are asked for, once.
    """
    return Contents(
        latest_iat=state.latest_iat,
        keys=[
            PublishedKey(
                jwk=trusted.key.to_jwk(),
                alg=trusted.key.alg,
                state=trusted.state,
                nbf=trusted.nbf,
                exp=trusted.exp,
                max_token_lifetime=trusted.max_token_lifetime,
            )
            for trusted in state.keys.keys
        ],
        compromised=sorted(state.keys.compromised),
        # The copies: whatever stands behind the first ``in`` of a generator is worked out at once.
        cutoffs=(
            CutoffEntry(level=key.level, id=key.id, **_entry(moment, expires))
            for key, moment, expires in state.cutoffs.kept()
        ),
        remaining=(
            RemainingEntry(
                level=key.level, id=key.id, permissions=list(entry.patterns), **_entry(entry.moment, entry.expires)
            )
            for key, entry in state.narrowings.remaining()
        ),
        revoked=(
            RevokedEntry(permission=entry.patterns[0], **_entry(entry.moment, entry.expires))
            for entry in state.narrowings.revoked()
        ),
        denied=state.denied.kept(),
    )


def _entry(moment: Moment, expires: float) -> dict[str, int]:
    return {
        "epoch": moment.position.epoch,
        "seq": moment.position.seq,
        "iat": moment.iat,
        "until": math.ceil(expires),
    }


def _moment(entry: Entry) -> Moment:
    return Moment(Position(entry.epoch, entry.seq), entry.iat)
