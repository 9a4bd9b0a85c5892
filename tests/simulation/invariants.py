"""What must hold of every history. Each rule is a function of its own, with the rule in words.

A history in which a thief held the feed key is judged apart: whoever was told something by him may believe anything of
it, but never un-revoke, never go back, and never fail to notice a second story.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from ostraka_schemas.records import Position

from .history import Decision, Delivery, History, Seen
from .issuer import KEYS_FROM
from .oracle import TOLERANCE, carries, key_state, kills, takes, up_to

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
        if seen.look.position < before.look.position:
            yield seen, f"head went from {before.look.position} to {seen.look.position}"
        if seen.look.position == before.look.position and seen.look.head != before.look.head:
            yield seen, f"the record at {seen.look.position} became another one"


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
        state = key_state(up_to(history.truth.changes, seen.look.position), seen.token.key)
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
    max_staleness, or than the caller bears."""
    for seen in _decisions(history):
        age = None if seen.vouched is None else seen.now - seen.vouched
        bound = min(history.patience, seen.limit)
        if seen.said == "ok" and (age is None or age > bound):
            yield seen, f"{seen.token} accepted {age} s after the last news, the bound is {bound:.0f} s"


def withheld_and_unnoticed(history: History) -> Found:
    """A record that is withheld while heartbeats flow is noticed with the first heartbeat that knows of it, and with
    the first newer token: from then on the verifier does not call itself FRESH and knows that it is behind."""
    for seen in history.seen:
        if seen.tainted or not isinstance(seen, Delivery | Decision):
            continue
        shown = None
        if isinstance(seen, Delivery) and seen.kind == "heartbeat" and seen.outcome == "heartbeat":
            shown = history.truth.beats[seen.raw].head.position
        elif isinstance(seen, Decision) and seen.said == "ok" and _is_news(seen):
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
    """I9. Everything injected or altered is refused, and counted at once."""
    for seen in _deliveries(history):
        if seen.kind == "bad" and seen.outcome != "refused":
            yield seen, f"{len(seen.raw)} bad bytes: {seen.outcome}"
        if seen.counted != 1:
            yield seen, f"one delivery ({seen.kind}: {seen.outcome}) was counted {seen.counted} times"


def good_but_refused(history: History) -> Found:
    """What the issuer signed is taken: refused only before the root document, if it is from ahead of time, or if it
    comes too long before its turn."""
    for seen in _deliveries(history):
        if seen.outcome != "refused" or seen.kind not in ("record", "heartbeat") or seen.tainted:
            continue
        if seen.before.head is None and seen.reason == "no_root_yet":
            continue
        if seen.kind == "heartbeat" and seen.reason == "from_the_future":
            if history.truth.beats[seen.raw].iat > seen.now + TOLERANCE:
                continue
        elif seen.kind == "record" and seen.reason == "too_far_ahead":
            position = history.truth.records[seen.raw].position
            if position is not None and position.seq > seen.look.position.seq + 1 + history.hold:
                continue
        yield seen, f"a genuine {seen.kind} was refused: {seen.reason}"


def skipped_or_lost(history: History) -> Found:
    """The head is always the issuer's record there, and every record up to it was delivered in this life; what was
    delivered without a gap, and taken, is applied."""
    taken: dict[tuple[int, int], set[int]] = {}
    for seen in history.seen:
        if seen.tainted:
            continue
        have = taken.setdefault((seen.who, seen.life), set())
        if isinstance(seen, Delivery) and seen.kind == "record" and seen.outcome != "refused":
            position = history.truth.records[seen.raw].position
            have.add(0 if position is None else position.seq)
        until = seen.look.position.seq
        if any(seq not in have for seq in range(1, until + 1)):
            yield seen, f"is at {seen.look.position} without having seen every record up to it"
        elif until + 1 in have:
            yield seen, f"is at {seen.look.position} although the next record was delivered"
        head = seen.look.head
        if head is not None and not _is_genuine(history, head.position, head.hash):
            yield seen, f"the head {head} is no record of the issuer"


def wrongly_refused(history: History) -> Found:
    """A refusal has a cause: in the token, in what is applied, or because nothing vouches. So a good token is never
    refused by a verifier that is FRESH, nor by any once the network has healed."""
    for seen in _decisions(history):
        if seen.said == "ok" or seen.token.wrong or seen.tainted:
            continue
        if not _CAUSES[seen.said](history, seen) if seen.said in _CAUSES else True:
            yield seen, f"{seen.token} refused without cause: {seen.said}; it says {seen.before.freshness}"


def false_alarm(history: History) -> Found:
    """An alarm has a cause: the bus alone can raise none but that of the clock, and that only with a heartbeat from the
    future."""
    for seen in history.seen:
        if not seen.tainted and seen.look.alarms & DOUBTS:
            yield seen, f"alarms {sorted(seen.look.alarms)} although only the issuer signed"


def second_story_unnoticed(history: History) -> Found:
    """Whoever was told two contents for one position by the holder of the feed key raises the alarm; whoever raised
    it is not FRESH."""
    heads: dict[tuple[int, int], dict[Position, bytes]] = {}
    for seen in _deliveries(history):
        if seen.before.head is None or seen.kind == "bad" or seen.outcome == "refused":
            continue
        if not seen.kind.endswith("record"):
            continue
        known = heads.setdefault((seen.who, seen.life), {})
        position, hash_ = _place(history, seen)
        if known.setdefault(position, hash_) != hash_ and "equivocation" not in seen.look.alarms:
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


def _place(history: History, seen: Delivery) -> tuple[Position, bytes]:
    if seen.kind == "record":
        position = history.truth.records[seen.raw].position
        assert position is not None
        return position, history.truth.hashes[position]
    return history.truth.stolen[seen.raw]


def _lacks_news(history: History, seen: Decision) -> bool:
    age = None if seen.vouched is None else seen.now - seen.vouched
    behind = seen.known > seen.look.position
    return age is None or behind or age > min(history.patience, seen.limit)


def _is_killed(history: History, seen: Decision) -> bool:
    return any(kills(c, seen.token) for c in up_to(history.truth.changes, seen.look.position) if c.kind != "keys")


def _key_state(history: History, seen: Decision) -> str | None:
    return key_state(up_to(history.truth.changes, seen.look.position), seen.token.key)


_CAUSES: Final[dict[str, Callable[[History, Decision], bool]]] = {
    "expired": lambda history, seen: seen.now >= seen.token.exp,
    "not_yet_valid": lambda history, seen: seen.token.iat > seen.now + TOLERANCE,
    "revoked": _is_killed,
    "unknown_key": lambda history, seen: (
        _key_state(history, seen) in (None, "destroyed") or seen.token.iat < KEYS_FROM - TOLERANCE
    ),
    "key_compromised": lambda history, seen: _key_state(history, seen) == "compromised",
    "stale": _lacks_news,
    "not_ready": lambda history, seen: not seen.look.ready and (_lacks_news(history, seen) or seen.stepped),
}
