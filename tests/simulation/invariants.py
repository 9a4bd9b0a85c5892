"""What must hold of every history. Each rule is a function of its own, with the rule in words.

A history in which a thief held the feed key is judged apart: whoever was told something by him may believe anything of
it, but never un-revoke, never go back, and never fail to notice a second story.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from ostraka_schemas.records import Position

from .history import Decision, Delivery, History, Seen
from .issuer import KEYS_FROM
from .oracle import NOWHERE, TOLERANCE, carries, key_state, kills, takes, up_to
from .roots import Root

FRESH_FOR: Final = 15
DOUBTS: Final = {"equivocation", "not_understood", "defective_record", "beyond_limits", "state_full"}
RANKS: Final = {"fresh": 0, "lagging": 1, "stale": 2, "expired": 3}


class Violation(NamedTuple):
    """A rule that did not hold, at which step, and how."""

    rule: str
    step: int
    how: str

    def __str__(self) -> str:
        return f"{self.rule} (step {self.step + 1}): {self.how}"


Found = Iterator[tuple[Seen, str]]


def accepted_too_late(history: History) -> Found:
    """I1. Nothing is accepted, and no permission granted, later than max_staleness + 10 s after the change that ends it
    was committed; if the issuer's clock was further ahead of the verifier's than 10 s, by so much later."""
    for seen in _decisions(history):
        if seen.said != "ok" or seen.tainted:
            continue
        allowed = history.patience + max(TOLERANCE, history.truth.slip - seen.error)
        for change in history.truth.changes:
            late = seen.t - change.at
            if late <= allowed:
                break  # and so are all that follow
            if kills(change, seen.token):
                yield seen, f"{seen.token} accepted {late:.1f} s after {change}"
            for permission in seen.allowed:
                if takes(change, seen.token, permission):
                    yield seen, f"{permission} of {seen.token} granted {late:.1f} s after {change}"


def accepted_against_what_it_knows(history: History) -> Found:
    """Whatever is applied counts at once: no token that a change up to the head kills is accepted, none past its end,
    and no permission granted that the token does not carry or a change up to the head takes."""
    for seen in _decisions(history):
        if seen.said != "ok" or seen.tainted:
            continue
        if seen.now >= seen.token.exp:
            yield seen, f"{seen.token} accepted {seen.now - seen.token.exp:.1f} s after its end"
        for change in up_to(history.truth.changes, seen.look.position):
            if kills(change, seen.token):
                yield seen, f"{seen.token} accepted although {change} is applied"
            for permission in seen.allowed:
                if takes(change, seen.token, permission):
                    yield seen, f"{permission} of {seen.token} granted although {change} is applied"
        for permission in seen.allowed:
            if not carries(seen.token, permission):
                yield seen, f"{permission} granted, which {seen.token} never carried"


def went_back(history: History) -> Found:
    """I2. The head of one verifier never goes back, and its bytes at one position never change."""
    heads: dict[tuple[int, int], Seen] = {}
    for seen in history.seen:
        before = heads.get((seen.who, seen.life))
        heads[seen.who, seen.life] = seen
        if before is None or before.look.head is None:
            continue
        was, now = _stands(history, before), _stands(history, seen)
        if now < was:
            yield seen, f"head went from {was} to {now}"
        if now == was and seen.look.head != before.look.head:
            yield seen, f"the record at {now} became another one"


def decided_before_it_was_back(history: History) -> Found:
    """I2, over restarts. Nothing is accepted before the position is reached again that the disk knows of; and the disk
    vouches for nothing: that takes a heartbeat that came since."""
    for seen in _decisions(history):
        if seen.said == "ok" and seen.pin is not None and seen.look.position < seen.pin:
            yield seen, f"{seen.token} accepted at {seen.look.position}, in an earlier life it was at {seen.pin}"


def denied_and_accepted_again(history: History) -> Found:
    """I3. A token once refused as revoked is never accepted again by that verifier."""
    denied: dict[tuple[int, int, str], str] = {}
    for seen in _decisions(history):
        me = (seen.who, seen.life, seen.token.jti)
        if seen.said in ("revoked", "key_compromised"):
            denied.setdefault(me, seen.said)
        elif seen.said == "ok" and me in denied:
            yield seen, f"{seen.token} accepted after it was refused as {denied[me]}"


def equal_heads_decide_differently(history: History) -> Found:
    """I4. Verifiers at the same head say the same of the same token, as far as the feed has a say in it."""
    said: dict[tuple[object, str], tuple[str, tuple[str, ...]]] = {}
    for seen in _decisions(history):
        if seen.said not in ("ok", "revoked", "key_compromised", "unknown_key") or seen.token.wrong:
            continue
        first = said.setdefault((seen.look.head, seen.token.jti), (seen.said, seen.allowed))
        if first != (seen.said, seen.allowed):
            yield seen, f"{seen.token} at {seen.look.position}: {first} of one, {(seen.said, seen.allowed)} of another"


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


def foreign_key_used(history: History) -> Found:
    """I6. No token is accepted that the issuer did not sign, with a key that its key set names and allows, for its
    time, its type, its issuer and its audience."""
    for seen in _decisions(history):
        if seen.said != "ok" or seen.tainted:
            continue
        if seen.token.wrong:
            yield seen, f"accepted: {seen.token}"
        state = _key_state(history, seen)
        if state not in ("pre-activation", "active", "deactivated"):
            yield seen, f"{seen.token} accepted although key {seen.token.key} is {state}"


def fresh_without_cause(history: History) -> Found:
    """I7. It calls itself no fresher than it is: by a genuine heartbeat whose head is applied, younger than 15 s for
    FRESH and LAGGING and than max_staleness for STALE; and FRESH only if no further record is known to exist."""
    for seen in history.seen:
        truly = _freshness(seen, history.patience)
        if RANKS[seen.look.freshness] < RANKS[truly]:
            yield seen, f"says {seen.look.freshness} and is {truly}"


def accepted_without_news(history: History) -> Found:
    """A full freeze is noticed: nothing is accepted once the newest heartbeat whose head is applied is older than
    max_staleness, or than the caller bears; and nothing that is of a later epoch than the feed."""
    for seen in _decisions(history):
        age = None if seen.vouched is None else seen.now - seen.vouched
        bound = min(history.patience, seen.limit)
        if seen.said == "ok" and seen.token.fv.epoch > _stands(history, seen).epoch:
            yield seen, f"{seen.token} accepted at {_stands(history, seen)}, it is of epoch {seen.token.fv.epoch}"
        if seen.said == "ok" and (age is None or age > bound):
            yield seen, f"{seen.token} accepted {age} s after the last news, the bound is {bound:.0f} s"


def withheld_and_unnoticed(history: History) -> Found:
    """A record that is withheld while heartbeats flow is noticed with the first heartbeat that knows of it, and with
    the first newer token, be it of a later epoch: from then on the verifier does not call itself FRESH and knows that
    it is behind."""
    for seen in history.seen:
        if seen.tainted or not isinstance(seen, Delivery | Decision):
            continue
        shown = None
        if isinstance(seen, Delivery) and seen.kind == "heartbeat" and seen.outcome == "heartbeat":
            shown = history.truth.beats[seen.raw].head.position
        elif isinstance(seen, Decision) and seen.said in ("ok", "stale") and not seen.token.wrong and _is_news(seen):
            shown = seen.token.fv
        if shown is None or shown <= seen.look.position:
            continue
        if seen.look.freshness == "fresh" or seen.look.known is None or seen.look.known < shown:
            yield seen, f"is at {seen.look.position}, was shown {shown}, says {seen.look.freshness}"


def unverified_data_remembered(history: History) -> Found:
    """I8. What is not signed by a key in force changes nothing that a decision rests on."""
    for seen in _deliveries(history):
        if seen.kind == "bad" and not seen.unchanged:
            yield seen, f"{len(seen.raw)} bad bytes changed its state"


def bad_but_not_counted(history: History) -> Found:
    """I9. Everything injected or altered is refused, and counted at once. What claims to be a root document of an older
    version has no effect, and is counted as such."""
    for seen in _deliveries(history):
        if seen.kind == "old root" and (seen.outcome != "duplicate" or not seen.unchanged):
            yield seen, f"an older root document: {seen.outcome}"
        older = seen.raw.startswith(b"{") and seen.reason == "older_root"
        if seen.kind == "bad" and seen.outcome != "refused" and not older:
            yield seen, f"{len(seen.raw)} bad bytes: {seen.outcome}"
        if seen.counted != 1:
            yield seen, f"one delivery ({seen.kind}: {seen.outcome}) was counted {seen.counted} times"


def good_but_refused(history: History) -> Found:
    """What the issuer signed is taken: refused only as long as no root document names its key for its epoch, if it is
    from ahead of time, if it comes too long before its turn, or if it speaks of what a snapshot passed."""
    for seen in _deliveries(history):
        if seen.outcome != "refused" or seen.tainted:
            continue
        cause = _REFUSABLE.get(seen.kind)
        if cause is not None and not cause(history, seen):
            yield seen, f"a genuine {seen.kind} was refused: {seen.reason}"


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
        if not _is_genuine(history, head.position, head.hash):
            yield seen, f"the head {head} is no record of the issuer"
        if not have.reaches(head.position):
            yield seen, f"is at {head.position} without having seen what leads there"
        elif (epoch, until + 1) in have.records:
            yield seen, f"is at {head.position} although the next record was delivered"


def root_went_back(history: History) -> Found:
    """The root document in force never goes back, skips no version, and is always one that the root keys signed."""
    before: dict[tuple[int, int], int] = {}
    for seen in history.seen:
        was = before.get((seen.who, seen.life), 0)
        version = before[seen.who, seen.life] = seen.look.root
        if version < was or (was and version > was + 1):
            yield seen, f"root document went from version {was} to {version}"
        if version and version not in history.truth.named:
            yield seen, f"root document {version} was never published"
        elif version and seen.look.head and seen.look.position.epoch != history.truth.named[version].epoch:
            yield seen, f"is at {seen.look.position} under root document {version}"


def wrongly_refused(history: History) -> Found:
    """A refusal has a cause: in the token, in what is applied, or because nothing vouches. So a good token is never
    refused by a verifier that is FRESH, nor by any once the network has healed."""
    for seen in _decisions(history):
        if seen.said == "ok" or seen.token.wrong or seen.tainted:
            continue
        if not _CAUSES[seen.said](history, seen) if seen.said in _CAUSES else True:
            yield seen, f"{seen.token} refused without cause: {seen.said}; it says {seen.before.freshness}"


def false_alarm(history: History) -> Found:
    """An alarm that ends freshness for good has a cause: the bus alone can raise none."""
    for seen in history.seen:
        if not seen.tainted and seen.look.alarms & DOUBTS:
            yield seen, f"alarms {sorted(seen.look.alarms)} although only the issuer signed"


def second_story_unnoticed(history: History) -> Found:
    """Whoever was told two contents for one position by the holder of the feed key raises the alarm; whoever raised
    it is not FRESH."""
    heads: dict[tuple[int, int], dict[Position, bytes]] = {}
    begins: dict[tuple[int, int], Position] = {}
    for seen in _deliveries(history):
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


def not_healed(history: History) -> Found:
    """I10. One heartbeat and a second after the network healed, every verifier is FRESH and at the issuer's head, and
    accepts a new token."""
    for seen in history.healed.values():
        if seen.look.freshness != "fresh" or seen.look.head != history.end:
            yield seen, f"is {seen.look.freshness} at {seen.look.head}, the issuer at {history.end}"
    for seen in _decisions(history):
        if seen.step == history.healed[0].step and seen.token is history.truth.tokens[-1] and seen.said != "ok":
            yield seen, f"a new token is refused: {seen.said}"


INVARIANTS: Final[tuple[Callable[[History], Found], ...]] = (
    accepted_too_late,
    accepted_against_what_it_knows,
    went_back,
    decided_before_it_was_back,
    denied_and_accepted_again,
    equal_heads_decide_differently,
    committed_but_not_sent,
    foreign_key_used,
    fresh_without_cause,
    accepted_without_news,
    withheld_and_unnoticed,
    unverified_data_remembered,
    bad_but_not_counted,
    good_but_refused,
    skipped_or_lost,
    root_went_back,
    wrongly_refused,
    false_alarm,
    second_story_unnoticed,
    not_healed,
)


def check(history: History) -> list[Violation]:
    """Every rule that does not hold, each once, where it first broke."""
    violations = []
    for rule in INVARIANTS:
        for seen, how in rule(history):
            violations.append(Violation(rule.__name__, seen.step, f"v{seen.who + 1} at t={seen.t:.1f}: {how}"))
            break
    return violations


def _decisions(history: History) -> Iterator[Decision]:
    return (seen for seen in history.seen if isinstance(seen, Decision))


def _deliveries(history: History) -> Iterator[Delivery]:
    return (seen for seen in history.seen if isinstance(seen, Delivery))


def _freshness(seen: Seen, patience: float) -> str:
    age = None if seen.vouched is None else seen.now - seen.vouched
    if age is None or age > patience:
        return "expired"
    return "stale" if age >= FRESH_FOR else "fresh"


def _is_news(seen: Decision) -> bool:
    """Whether the token can betray anything: not if a heartbeat speaks of a later time than it can have."""
    return seen.vouched is None or seen.vouched <= seen.token.iat + TOLERANCE


def _is_genuine(history: History, position: Position, hash_: bytes) -> bool:
    return history.truth.hashes.get(position) == hash_


def _stands(history: History, seen: Seen) -> Position:
    """How far it is; a root document that opens an epoch takes it to before the first record there."""
    root = history.truth.named.get(seen.look.root)
    return seen.look.position if seen.look.head or root is None else Position(root.epoch, 0)


def _place(history: History, seen: Delivery) -> tuple[Position, bytes]:
    if seen.kind == "record":
        position = history.truth.records[seen.raw].position
        assert position is not None
        return position, history.truth.hashes[position]
    return history.truth.stolen.records[seen.raw][0]


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
    if (
        seen.reason == "head_too_old"
    ):  # before the snapshot that the verifier began with: it can be held against nothing
        return beat.head.position < seen.look.position
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


def _lacks_news(history: History, seen: Decision) -> bool:
    age = None if seen.vouched is None else seen.now - seen.vouched
    behind = seen.known > seen.look.position or seen.token.fv.epoch > _stands(history, seen).epoch
    return age is None or behind or age > min(history.patience, seen.limit)


def _is_killed(history: History, seen: Decision) -> bool:
    return any(kills(c, seen.token) for c in up_to(history.truth.changes, seen.look.position) if c.kind != "keys")


def _key_state(history: History, seen: Decision) -> str | None:
    position = seen.look.position
    return key_state(up_to(history.truth.changes, position), seen.token.key, position.epoch)


_CAUSES: Final[dict[str, Callable[[History, Decision], bool]]] = {
    "expired": lambda history, seen: seen.now >= seen.token.exp,
    "not_yet_valid": lambda history, seen: seen.token.iat > seen.now + TOLERANCE,
    "revoked": _is_killed,
    "unknown_key": lambda history, seen: (
        _key_state(history, seen) in (None, "destroyed") or seen.token.iat < KEYS_FROM - TOLERANCE
    ),
    "key_compromised": lambda history, seen: _key_state(history, seen) == "compromised",
    "stale": _lacks_news,
    "not_ready": lambda history, seen: (
        not seen.look.ready
        and (_lacks_news(history, seen) or seen.stepped or seen.look.position < (seen.pin or NOWHERE))
    ),
}
