"""Rules about what a verifier says of itself: freshness, counters, alarms."""

from typing import Final

from ..history import Decision, Delivery, History, Seen
from ..oracle import TOLERANCE
from .reading import Found, decisions, deliveries

FRESH_FOR: Final = 15
DOUBTS: Final = {"equivocation", "not_understood", "defective_record", "beyond_limits", "state_full", "root_refused"}
RANKS: Final = {"fresh": 0, "lagging": 1, "stale": 2, "expired": 3}


def fresh_without_cause(history: History) -> Found:
    """I7. It calls itself no fresher than it is: by a genuine heartbeat whose head is applied, younger than 15 s for
    FRESH and LAGGING and than max_staleness for STALE; and FRESH only if no further record is known to exist."""
    for seen in history.seen:
        truly = _freshness(seen, history.patience)
        if RANKS[seen.look.freshness] < RANKS[truly]:
            yield seen, f"says {seen.look.freshness} and is {truly}"


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
    for seen in deliveries(history):
        if seen.kind == "bad" and not seen.unchanged:
            yield seen, f"{len(seen.raw)} bad bytes changed its state"


def bad_but_not_counted(history: History) -> Found:
    """I9. Everything injected or altered is refused, and counted at once. What claims to be a root document of an older
    version has no effect, and is counted as such."""
    for seen in deliveries(history):
        if seen.kind == "old root" and (seen.outcome != "duplicate" or not seen.unchanged):
            yield seen, f"an older root document: {seen.outcome}"
        older = seen.raw.startswith(b"{") and seen.reason == "older_root"
        if seen.kind == "bad" and seen.outcome != "refused" and not older:
            yield seen, f"{len(seen.raw)} bad bytes: {seen.outcome}"
        if seen.counted != 1:
            yield seen, f"one delivery ({seen.kind}: {seen.outcome}) was counted {seen.counted} times"


def false_alarm(history: History) -> Found:
    """An alarm that ends freshness for good has a cause: the bus alone can raise none."""
    for seen in history.seen:
        if not seen.tainted and seen.look.alarms & DOUBTS:
            yield seen, f"alarms {sorted(seen.look.alarms)} although only the issuer signed"


def not_healed(history: History) -> Found:
    """I10. One heartbeat and a second after the network healed, every verifier is FRESH and at the issuer's head, and
    accepts a new token. One whose wall clock was set back cannot know that its time is not later: it has the head."""
    for seen in history.healed.values():
        if seen.set_back and seen.look.head == history.end:
            continue
        if seen.look.freshness != "fresh" or seen.look.head != history.end:
            yield seen, f"is {seen.look.freshness} at {seen.look.head}, the issuer at {history.end}"
    for seen in decisions(history):
        if seen.step == history.healed[0].step and seen.token is history.truth.tokens[-1] and not seen.set_back:
            if seen.said == "ok":
                continue
            yield seen, f"a new token is refused: {seen.said}"


def _freshness(seen: Seen, patience: float) -> str:
    age = None if seen.vouched is None else seen.now - seen.vouched
    if age is None or age > patience:
        return "expired"
    return "stale" if age >= FRESH_FOR else "fresh"


def _is_news(seen: Decision) -> bool:
    """Whether the token can betray anything: not if a heartbeat speaks of a later time than it can have."""
    return seen.vouched is None or seen.vouched <= seen.token.iat + TOLERANCE
