"""The order of the feed: one record after the other, none skipped, none twice, none replaced.

Rules, for a record whose signature was verified:

1. ``seq`` is the next one and ``prev`` is the hash of the record before: its turn has come.
2. A position already passed, the same bytes: a duplicate.
3. A position already passed or held, other bytes; or the next position, but attached to another record than ours:
   **equivocation**. Whoever holds the feed key has told two stories.
4. Further ahead: held, at most ``HOLD_MAX_RECORDS`` and ``HOLD_MAX_BYTES``; beyond that let go, to be read again.
5. A snapshot that is further on may take the place of the records up to its head; what was held after it goes on from
   there.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from ostraka_consumers.limits import EVIDENCE_MAX, EVIDENCE_MAX_BYTES, HASH_WINDOW, HOLD_MAX_BYTES, HOLD_MAX_RECORDS
from ostraka_schemas.records import GENESIS, Head, Position, Record

from .freshness import Statement


class Place(Enum):
    """Where a record belongs."""

    NEXT = auto()
    PASSED = auto()
    AHEAD = auto()
    TOO_FAR = auto()
    CONFLICT = auto()


class Signed(NamedTuple):
    """A record with its bytes and their hash."""

    record: Record
    raw: bytes
    hash: bytes


class Evidence(NamedTuple):
    """Two signed contents for one place. ``known`` is ``None`` once its bytes have left the memory."""

    position: Position
    known: bytes | None
    other: bytes


@dataclass
class Chain:
    """The head of one epoch, the newest hashes, and what came before its turn."""

    epoch: int
    head: Head | None = None
    evidence: list[Evidence] = field(default_factory=list)
    _hashes: dict[int, bytes] = field(default_factory=dict)
    _passed: dict[bytes, int] = field(default_factory=dict)
    _raws: deque[tuple[int, bytes]] = field(default_factory=deque)
    _raws_bytes: int = 0
    _held: dict[int, Signed] = field(default_factory=dict)
    _held_bytes: int = 0
    _expected: int = 0

    @property
    def next_seq(self) -> int:
        """The position whose turn it is."""
        return 1 if self.head is None else self.head.position.seq + 1

    @property
    def furthest(self) -> Position | None:
        """The furthest record that is held."""
        return Position(self.epoch, max(self._held)) if self._held else None

    @property
    def held(self) -> int:
        """How many records wait for their turn."""
        return len(self._held)

    def passed(self, hash_: bytes) -> Position | None:
        """Where exactly these bytes were applied lately, if they were: then nothing needs to be verified again."""
        seq = self._passed.get(hash_)
        return None if seq is None else Position(self.epoch, seq)

    def can_compare(self, position: Position) -> bool:
        """Whether the record at ``position`` is still known, or still to come."""
        return position.seq >= self.next_seq or position.seq in self._hashes

    def contradicts(self, head: Head, raw: bytes, earlier: Statement | None = None) -> bool:
        """Whether a signed statement names another record than the one that is known at a position.

        Known are records applied and held, and the head of an ``earlier`` statement. Both sides are kept as evidence.
        """
        seq = head.position.seq
        held = self._held.get(seq)
        known = self._hashes.get(seq, held.hash if held else head.hash)
        if known != head.hash:
            self._keep(head.position, self._raw_at(seq), raw)
            return True
        said = head if earlier is None else earlier.heartbeat.head
        if earlier is not None and said.position == head.position and said.hash != head.hash:
            self._keep(head.position, earlier.raw, raw)
            return True
        return False

    def place(self, signed: Signed) -> Place:
        """Apply the rules. On a conflict both contents are kept as evidence."""
        seq = signed.record.position.seq
        if seq < self.next_seq:
            known = self._hashes.get(seq)
            return Place.PASSED if known is None or known == signed.hash else self._conflict(signed)
        held = self._held.get(seq)
        if held is not None and held.hash != signed.hash:
            return self._conflict(signed)
        if seq == self.next_seq:
            before = GENESIS if self.head is None else self.head.hash
            return Place.NEXT if signed.record.prev == before else self._conflict(signed)
        return self._hold(signed)

    def _hold(self, signed: Signed) -> Place:
        seq = signed.record.position.seq
        if seq in self._held:
            return Place.AHEAD
        if (
            seq - max(self.next_seq, self._expected) > HOLD_MAX_RECORDS
            or self._held_bytes + len(signed.raw) > HOLD_MAX_BYTES
        ):
            return Place.TOO_FAR
        self._held[seq] = signed
        self._held_bytes += len(signed.raw)
        return Place.AHEAD

    def advance(self, signed: Signed) -> None:
        """Make a record that is ``NEXT`` the head."""
        position = signed.record.position
        self._release(position.seq)
        self.head = Head(position, signed.hash)
        self._hashes[position.seq] = signed.hash
        self._passed[signed.hash] = position.seq
        old = self._hashes.pop(position.seq - HASH_WINDOW, None)
        if old is not None:
            self._passed.pop(old, None)
        self._raws.append((position.seq, signed.raw))
        self._raws_bytes += len(signed.raw)
        while self._raws_bytes > EVIDENCE_MAX_BYTES:
            self._raws_bytes -= len(self._raws.popleft()[1])

    def expect(self, head: Head) -> None:
        """Say that a snapshot at ``head`` is there, to be taken once it is vouched for: hold what comes after it."""
        self._expected = head.position.seq + 1

    def jump(self, head: Head) -> bool:
        """Go on from the head of a snapshot. Whether that fits what is held; if not, both contents are kept."""
        held = self._held.get(head.position.seq)
        for seq in [seq for seq in self._held if seq <= head.position.seq]:
            self._release(seq)
        self.head = head
        # The hashes in between are unknown. Those before still are what another story about them is held against.
        oldest = head.position.seq - HASH_WINDOW
        self._hashes = {seq: known for seq, known in self._hashes.items() if seq > oldest}
        self._hashes[head.position.seq] = head.hash
        self._passed = {known: seq for seq, known in self._hashes.items()}
        if held is None or held.hash == head.hash:
            return True
        self._keep(head.position, None, held.raw)
        return False

    def held_in_turn(self) -> Iterator[Signed]:
        """Held records whose turn has come; the caller places and advances each before it asks for the next."""
        for _ in range(HOLD_MAX_RECORDS + 1):
            signed = self._held.get(self.next_seq)
            if signed is None:
                return
            self._release(self.next_seq)
            yield signed

    def _release(self, seq: int) -> None:
        signed = self._held.pop(seq, None)
        if signed is not None:
            self._held_bytes -= len(signed.raw)

    def _conflict(self, signed: Signed) -> Place:
        seq = signed.record.position.seq
        # A record that attaches elsewhere conflicts with the one before it.
        at = seq if seq in self._hashes or seq in self._held else seq - 1
        self._keep(signed.record.position, self._raw_at(at), signed.raw)
        return Place.CONFLICT

    def _raw_at(self, seq: int) -> bytes | None:
        held = self._held.get(seq)
        return held.raw if held else next((raw for place, raw in self._raws if place == seq), None)

    def _keep(self, position: Position, known: bytes | None, other: bytes) -> None:
        if len(self.evidence) < EVIDENCE_MAX and all(entry.other != other for entry in self.evidence):
            self.evidence.append(Evidence(position, known, other))
