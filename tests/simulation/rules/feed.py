"""Rules about what is taken from the feed, and in which order."""

from collections.abc import Callable
from typing import Final

from ostraka_schemas.limits import CLOCK_TOLERANCE
from ostraka_schemas.records import Position

from ..clock import START
from ..history import Delivery, History, Seen
from ..oracle import NOWHERE
from ..roots import Root
from .reading import Found, deliveries, stands


def went_back(history: History) -> Found:
    """I2. The head of one verifier never goes back, and its bytes at one position never change."""
    heads: dict[tuple[int, int], Seen] = {}
    for seen in history.seen:
        before = heads.get((seen.who, seen.life))
        heads[seen.who, seen.life] = seen
        if before is None or before.look.head is None:
            continue
        was, now = stands(history, before), stands(history, seen)
        if now < was:
            yield seen, f"head went from {was} to {now}"
        if now == was and seen.look.head != before.look.head:
            yield seen, f"the record at {now} became another one"


def committed_but_not_sent(history: History) -> Found:
    """I5. Every committed change is in the feed at least once, and one position never has two contents."""
    contents: dict[Position, bytes] = {}
    last = history.seen[-1]
    for raw in history.truth.sent:
        position = history.truth.records[raw].position
        if position is None or contents.setdefault(position, raw) != raw:
            yield last, f"two contents were sent for {position}"
    for change in history.truth.changes:
        if change.position is None or change.position not in contents:
            yield last, f"{change} was never sent"


def skipped_or_lost(history: History) -> Found:
    """The head is always the issuer's record there, and every record up to it was delivered in this life, or those
    after a snapshot that was delivered whole; what was delivered without a gap, and taken, is applied."""
    taken: dict[tuple[int, int], _Taken] = {}
    for seen in history.seen:
        have = taken.setdefault((seen.who, seen.life), _Taken())
        if isinstance(seen, Delivery) and seen.outcome != "refused":
            have.take(history, seen)
        head = seen.look.head
        if seen.tainted or head is None:
            continue
        epoch, until = head.position
        if not is_genuine(history, head.position, head.hash):
            yield seen, f"the head {head} is no record of the issuer"
        if not have.reaches(head.position):
            yield seen, f"is at {head.position} without having seen what leads there"
        elif (epoch, until + 1) in have.records:
            yield seen, f"is at {head.position} although the next record was delivered"


def root_went_back(history: History) -> Found:
    """The root document in force never goes back, skips no version, and is always one that the root keys signed.

    Records that were held are applied in one go with the one before them, and each may bring a version.
    """
    before: dict[tuple[int, int], int] = {}
    for seen in history.seen:
        was = before.get((seen.who, seen.life), 0)
        version = before[seen.who, seen.life] = seen.look.root
        if version < was or (was and version > was + max(1, _steps(seen))):
            yield seen, f"root document went from version {was} to {version}"
        if version and version not in history.truth.named:
            yield seen, f"root document {version} was never published"
        elif version and seen.look.head and seen.look.position.epoch != history.truth.named[version].epoch:
            yield seen, f"is at {seen.look.position} under root document {version}"


def _steps(seen: Seen) -> int:
    """How many records of one epoch it has gone on by; who knew of none may have gone on from a snapshot."""
    if not isinstance(seen, Delivery) or seen.look.head is None:
        return 0
    after = seen.look.position
    if seen.before.head is None:
        return after.seq
    return after.seq - seen.before.position.seq if after.epoch == seen.before.position.epoch else 0


def second_story_unnoticed(history: History) -> Found:
    """Whoever was told two contents for one position by the holder of the feed key raises the alarm; whoever raised
    it is not FRESH."""
    heads: dict[tuple[int, int], dict[Position, bytes]] = {}
    begins: dict[tuple[int, int], Position] = {}
    for seen in deliveries(history):
        me = (seen.who, seen.life)
        if seen.outcome in ("snapshot", "heartbeat") and seen.look.head != seen.before.head:
            # A snapshot took their place; what stands before it can be compared with nothing any more.
            heads[me], begins[me] = {}, seen.look.position
        if not seen.kind.endswith("record") or seen.before.head is None or seen.outcome == "refused":
            continue
        position, hash_ = _place(history, seen)
        if position <= begins.get(me, NOWHERE):
            continue
        if heads.setdefault(me, {}).setdefault(position, hash_) != hash_ and "equivocation" not in seen.look.alarms:
            yield seen, f"two contents for {position} and no alarm"
    for other in history.seen:
        if "equivocation" in other.look.alarms and other.look.freshness in ("fresh", "lagging"):
            yield other, f"doubts what it knows and says {other.look.freshness}"


def good_but_refused(history: History) -> Found:
    """What the issuer signed is taken: refused only as long as no root document names its key for its epoch, if it is
    from ahead of time, if it comes too long before its turn, or if it speaks of what a snapshot passed; and a heartbeat
    whose clock was ahead if it does not know of what was signed before that time."""
    for seen in deliveries(history):
        if seen.outcome != "refused" or seen.tainted:
            continue
        cause = _REFUSABLE.get(seen.kind)
        if cause is not None and not cause(history, seen):
            yield seen, f"a genuine {seen.kind} was refused: {seen.reason}"


class _Taken:
    """What one verifier was given in one life, and did not refuse."""

    def __init__(self) -> None:
        self.records: set[tuple[int, int]] = set()
        self._parts: dict[tuple[Position, int], set[int]] = {}
        self._snapshots: set[Position] = set()

    def take(self, history: History, seen: Delivery) -> None:
        if seen.kind == "record" and (position := history.truth.records[seen.raw].position):
            self.records.add(position)
        elif seen.kind == "part":
            part = history.truth.parts[seen.raw]
            known = self._parts.setdefault((part.head.position, part.iat), set())
            known.add(part.part)
            if len(known) == part.parts:
                self._snapshots.add(part.head.position)

    def reaches(self, position: Position) -> bool:
        epoch, seq = position
        while seq and (epoch, seq) in self.records and (epoch, seq) not in self._snapshots:
            seq -= 1
        return seq == 0 or (epoch, seq) in self._snapshots


def is_genuine(history: History, position: Position, hash_: bytes) -> bool:
    return history.truth.hashes.get(position) == hash_


def _place(history: History, seen: Delivery) -> tuple[Position, bytes]:
    if seen.kind == "record":
        position = history.truth.records[seen.raw].position
        assert position is not None
        return position, history.truth.hashes[position]
    return history.truth.stolen.records[seen.raw][0]


def _is_unnamed(history: History, seen: Delivery, signer: int, epoch: int) -> bool:
    """Whether no root document in force names the key for that epoch."""
    root = history.truth.named.get(seen.before.root)
    return root is None or signer not in root.feed or epoch != root.epoch


def _record_refusable(history: History, seen: Delivery) -> bool:
    change = history.truth.records[seen.raw]
    assert change.position is not None
    if seen.reason == "too_far_ahead":
        return change.position.seq > seen.look.position.seq + 1 + history.hold
    if change.root is not None and _root_follows(change.root, seen.before.root):
        return False
    return _is_unnamed(history, seen, change.signer, change.position.epoch)


def _beat_refusable(history: History, seen: Delivery) -> bool:
    beat = history.truth.beats[seen.raw]
    if seen.reason == "from_the_future":
        return seen.ahead
    if seen.reason == "head_too_old":
        # Before the snapshot that the verifier began with: it can be held against nothing.
        return beat.head.position < seen.look.position
    if seen.reason == "forgets_records":
        # A clock that was ahead when it was signed, and is right again, makes it look later than it is.
        return beat.iat - (START + beat.at) > CLOCK_TOLERANCE
    return _is_unnamed(history, seen, beat.signer, beat.head.position.epoch)


def _part_refusable(history: History, seen: Delivery) -> bool:
    part = history.truth.parts[seen.raw]
    if seen.reason == "root_missing":
        return part.root > seen.before.root
    return _is_unnamed(history, seen, part.signer, part.head.position.epoch)


def _root_follows(root: Root, version: int) -> bool:
    """Whether it is the one to adopt: the next, or the first one that two anchored keys have signed."""
    return root.version == version + 1 if version else root.first <= 2


_REFUSABLE: Final[dict[str, Callable[[History, Delivery], bool]]] = {
    "record": _record_refusable,
    "heartbeat": _beat_refusable,
    "part": _part_refusable,
    "root": lambda history, seen: not _root_follows(history.truth.roots[seen.raw], seen.before.root),
}
