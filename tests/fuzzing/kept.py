"""What one delivery may change, by how it ended."""

from collections.abc import Iterator
from typing import Any

from ostraka_consumers.limits import EVIDENCE_MAX, HOLD_MAX_RECORDS
from ostraka_consumers.trust.cutoffs import Moment
from ostraka_consumers.trust.receipt import Outcome, Receipt

_MAY_CHANGE: dict[Outcome, frozenset[str]] = {
    Outcome.REFUSED: frozenset({"known head", "alarms"}),
    Outcome.DUPLICATE: frozenset(),
    Outcome.HELD: frozenset({"held", "known head"}),
    Outcome.HEARTBEAT: frozenset({"known head", "vouched at", "heard", "ahead", "now", "alarms"}),
    Outcome.SNAPSHOT: frozenset(),
    Outcome.EQUIVOCATION: frozenset({"alarms", "evidence", "doubted"}),
}
"""Of what is applied, and where a snapshot was jumped to, anything may follow that ``_only_grown`` lets through."""

_JUMPS = frozenset({Outcome.HEARTBEAT, Outcome.SNAPSHOT})

State = dict[str, Any]


def altered_promises(receipt: Receipt, before: State, after: State) -> Iterator[str]:
    """In words, what should not have become of something that nobody who counts has signed."""
    older_root = receipt.outcome is Outcome.DUPLICATE and receipt.reason == "older_root"
    if receipt.outcome is not Outcome.REFUSED and not older_root:
        yield f"ended as {receipt.outcome.value}"
    if after != before:
        yield f"the state has changed: {', '.join(_changed(before, after))}"


def signed_promises(receipt: Receipt, before: State, after: State) -> Iterator[str]:
    """The same of something that the feed key has signed. A new root document is not judged here."""
    jumped = receipt.outcome in _JUMPS and before["head"] != after["head"]
    allowed = None if jumped else _MAY_CHANGE.get(receipt.outcome)
    if allowed is not None and not allowed.issuperset(_changed(before, after)):
        yield f"{receipt.outcome.value}, yet there changed: {', '.join(_changed(before, after))}"
    if not jumped and (receipt.outcome is Outcome.APPLIED) != bool(receipt.applied):
        yield f"{receipt.outcome.value} with {len(receipt.applied)} records"
    if _seq(after) - _seq(before) - len(receipt.applied) < jumped or (
        not jumped and _seq(after) != _seq(before) + len(receipt.applied)
    ):
        yield f"{len(receipt.applied)} records took the head from {_seq(before)} to {_seq(after)}"
    yield from _only_grown(before, after)


def _only_grown(before: State, after: State) -> Iterator[str]:
    for name in ("denied", "compromised", "alarms"):
        if not before[name] <= after[name]:
            yield f"something has left: {name}"
    for name in ("revoked", "evidence"):
        if after[name][: len(before[name])] != before[name]:
            yield f"something has left: {name}"
    if any(after["remaining"].get(key, [])[: len(had)] != had for key, had in before["remaining"].items()):
        yield "a narrowing was taken back"
    if not all(_as_late(after["cut-offs"].get(key), moment) for key, moment in before["cut-offs"].items()):
        yield "a cut-off was taken back"
    if (before["vouched at"] or 0) > (after["vouched at"] or 0) or before["now"] > after["now"]:
        yield "the signed time has gone back"
    if before["doubted"] > after["doubted"]:
        yield "a doubt is forgotten"
    if len(after["evidence"]) > EVIDENCE_MAX or len(after["held"]) > HOLD_MAX_RECORDS:
        yield "a bound is passed"


def _as_late(now: Moment | None, before: Moment) -> bool:
    return now is not None and now.position >= before.position and now.iat >= before.iat


def _changed(before: State, after: State) -> list[str]:
    return [name for name in before if before[name] != after[name]]


def _seq(state: State) -> int:
    return 0 if state["head"] is None else state["head"].position.seq
