"""What is handed to whoever keeps a copy, and what a core that starts from one must reach again."""

import pytest

from ostraka_consumers.trust.receipt import Kind, Outcome, Taken
from ostraka_schemas.records import Head, Position, record_hash
from ostraka_schemas.root import root_bytes
from ostraka_schemas.snapshots import SnapshotState
from tests.consumers.trust.feed import Fed


def kept(*, opened: bool = True) -> tuple[Fed, list[Taken]]:
    taken: list[Taken] = []
    return Fed(opened=opened, keep=taken.append), taken


def test_records_and_what_they_bring_are_kept_in_the_order_in_which_they_take_effect() -> None:
    fed, taken = kept()
    first, second = fed.issuer.records
    assert taken == [
        (Kind.ROOT, tuple(fed.issuer.root_files()), None),
        (Kind.RECORD, (first,), (1, 1)),
        (Kind.RECORD, (second,), (1, 2)),
    ]
    raws = [fed.issuer.cut_subject(name) for name in "abc"]
    taken.clear()
    for raw in (raws[2], raws[1], raws[1], b"x", fed.issuer.heartbeat(iat=fed.issuer.now + 1)):
        fed.take(raw)
    assert taken == []
    fed.take(raws[0])
    assert taken == [(Kind.RECORD, (raw,), (1, seq)) for seq, raw in enumerate(raws, start=3)]


def test_a_root_document_is_kept_as_it_came() -> None:
    fed, taken = kept(opened=False)
    fed.issuer.open()
    (raw,) = fed.issuer.root_files()
    spaced = raw.replace(b"{", b"{ ", 1)
    assert fed.take(spaced).outcome is Outcome.ROOT
    assert taken == [(Kind.ROOT, (spaced,), None)]


def test_one_that_a_record_brings_is_kept_by_itself() -> None:
    fed, taken = kept(opened=False)
    (opening, _) = fed.issuer.open()
    fed.take(opening)
    assert taken == [
        (Kind.ROOT, (root_bytes(fed.issuer.signed_roots[0]),), None),
        (Kind.RECORD, (opening,), (1, 1)),
    ]


@pytest.mark.parametrize("keeps", [True, False])
def test_a_snapshot_is_kept_with_the_heartbeat_that_speaks_of_its_head(keeps: bool) -> None:
    fed, taken = kept() if keeps else (Fed(), [])
    fed.issuer.cut_subject("a")
    state = SnapshotState(latest_iat=fed.issuer.now)
    head = Head(Position(1, 3), record_hash(fed.issuer.records[2]))
    parts = [fed.issuer.snapshot_part(state, number, 2, head=head) for number in (1, 2)]
    beat = fed.issuer.heartbeat(head=head, iat=fed.issuer.now + 1)
    taken.clear()
    for raw in (*parts, parts[0], beat):
        fed.take(raw)
    assert fed.core.head == head
    assert fed.core.counters["snapshots"] == 1
    assert taken == ([(Kind.SNAPSHOT, (*parts, beat), (1, 3))] if keeps else [])


def test_who_starts_from_a_copy_needs_a_heartbeat_and_what_was_reached_before() -> None:
    fed = Fed()
    beat = fed.issuer.heartbeat(iat=fed.issuer.now + 1)
    fed.take(beat)
    later = fed.issuer.cut_subject("a")
    fed.core.resume(Position(1, 3))
    fed.core.resume(None)
    fed.core.resume(Position(1, 2))
    said = fed.core.why_not_ready(fed.issuer.clock.now())
    assert said is not None
    assert "1:3" in said
    assert fed.take(beat).outcome is Outcome.HEARTBEAT
    assert fed.core.why_not_ready(fed.issuer.clock.now()) is not None
    fed.take(later)
    fed.beat(iat=fed.issuer.now + 2)
    assert fed.core.why_not_ready(fed.issuer.clock.now()) is None


def test_after_a_start_from_a_copy_nothing_is_vouched_for_until_a_heartbeat_comes() -> None:
    fed = Fed()
    fed.core.resume(Position(1, 2))
    assert fed.core.why_not_ready(fed.issuer.clock.now()) == "applied up to 1:2, but no heartbeat vouches for it yet"
    fed.beat()
    assert fed.core.why_not_ready(fed.issuer.clock.now()) is None
