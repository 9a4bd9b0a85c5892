"""Snapshots in the trust core: what they spare, what they cannot do, and what a hostile one comes to."""

from math import ceil
from typing import Any

import pytest

from ostraka_consumers.errors import Revoked
from ostraka_consumers.limits import HOLD_MAX_RECORDS, HORIZON_STEPS
from ostraka_consumers.trust.receipt import Outcome
from ostraka_consumers.trust.snapshot import contents_of
from ostraka_schemas.events import IssuerCutoff
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.limits import CLOCK_TOLERANCE, SEQ_MAX
from ostraka_schemas.records import Head, Position
from ostraka_schemas.root import root_bytes
from ostraka_schemas.snapshots import CutoffEntry, Denied, SnapshotState, cut
from tests.consumers.trust.feed import Fed, positions
from tests.schemas.keys import signing_key
from tests.support.fake_issuer import published


def busy() -> Fed:
    """A core that has followed everything there is to follow."""
    fed = Fed()
    issuer = fed.issuer
    second = signing_key("ES256", 8)
    for raw in (
        issuer.cut_subject("alice"),
        issuer.cut_session("bob", "s1"),
        issuer.cut_client("cron"),
        issuer.cut_everyone(),
        issuer.keep_only("carol", "orders:read"),
        issuer.keep_only("carol"),
        issuer.revoke_permission("orders:create"),
        issuer.revoke_token("not one of ours", issuer.now + 200),
        issuer.revoke_tokens(*((issuer.new_id(), issuer.now + after) for after in range(0, 300, 7))),
        issuer.publish_keys(
            published(issuer.token_key, now=issuer.now, state="compromised"), published(second, now=issuer.now)
        ),
        issuer.publish_keys(published(second, now=issuer.now)),
    ):
        assert fed.take(raw).outcome is Outcome.APPLIED
    fed.beat()
    return fed


def head_of(fed: Fed) -> Head | None:
    return fed.core.head


def told(fed: Fed) -> dict[str, Any]:
    """Everything decisions rest on, but for when it may be forgotten."""
    core, state = fed.core, fed.core.state
    assert state is not None
    return {
        "head": core.head,
        "denied": {until: set(numbers) for until, numbers in state.denied.kept()},
        "cut-offs": {key: moment for key, moment, _ in state.cutoffs.kept()},
        "remaining": sorted((key, entry.moment, entry.patterns) for key, entry in state.narrowings.remaining()),
        "revoked": [(entry.moment, entry.patterns) for entry in state.narrowings.revoked()],
        "keys": [(key.key.kid, dict(key.key.jwk), key.state, key.nbf, key.exp) for key in state.keys.keys],
        "compromised": state.keys.compromised,
        "latest": state.latest_iat,
        "freshness": fed.freshness,
    }


def parts_of(fed: Fed, **changes: Any) -> list[bytes]:
    assert fed.core.state is not None
    return fed.issuer.snapshot(fed.core.state, **changes)


def newcomer(fed: Fed) -> Fed:
    """A core that knows the root document and nothing else."""
    other = Fed(fed.issuer, opened=False)
    for raw in fed.issuer.root_files():
        assert other.take(raw).outcome is Outcome.ROOT
    return other


@pytest.mark.parametrize("heartbeat_first", [True, False])
def test_a_newcomer_stands_where_one_stands_who_read_everything(heartbeat_first: bool) -> None:
    fed = busy()
    other = newcomer(fed)
    beat = fed.issuer.heartbeat()
    for raw in [beat, *parts_of(fed)] if heartbeat_first else [*parts_of(fed), beat]:
        other.take(raw)
    assert told(other) == told(fed)
    assert other.core.counters["snapshots"] == 1
    after = fed.issuer.cut_subject("dave")
    for each in (fed, other):
        assert each.take(after).outcome is Outcome.APPLIED
        assert each.beat().outcome is Outcome.HEARTBEAT
    assert told(other) == told(fed)


def test_until_a_heartbeat_speaks_of_its_head_a_snapshot_waits() -> None:
    fed = busy()
    other = newcomer(fed)
    for raw in parts_of(fed):
        assert other.take(raw).outcome is Outcome.SNAPSHOT
    assert head_of(other) is None
    earlier = Head(Position(1, 2), b"\1" * 32)
    other.beat(head=earlier, iat=fed.issuer.now - 1)
    assert head_of(other) is None
    assert other.core.why_not_ready(fed.issuer.clock.now()) is not None
    other.beat()
    assert head_of(other) == fed.issuer.head
    assert other.core.why_not_ready(fed.issuer.clock.now()) is None


def test_an_old_snapshot_does_not_make_ready_while_the_rest_is_withheld() -> None:
    fed = busy()
    parts = parts_of(fed)
    fed.issuer.clock.advance(3_600)
    other = newcomer(fed)
    fed.issuer.cut_subject("eve")
    for raw in (*parts, fed.issuer.heartbeat()):
        other.take(raw)
    assert other.core.why_not_ready(fed.issuer.clock.now()) == "applied up to 1:13, the feed is at 1:14"
    assert other.freshness == "expired"


def test_what_a_slow_clock_revoked_and_put_into_a_snapshot_is_kept_as_long_as_any() -> None:
    """The issuer's clock is an hour slow when it revokes and when it makes the snapshot, and then is put right."""
    fed = Fed()
    before = list(fed.issuer.head.position)
    revoked = fed.genuine(sub="someone", fv=before)
    for raw in (
        fed.issuer.cut_subject("eve"),
        fed.issuer.revoke_permission("orders:read"),
        fed.issuer.revoke_token(revoked.claims.jti, revoked.claims.exp),
    ):
        fed.take(raw)
    beat, parts = fed.issuer.heartbeat(), parts_of(fed)
    fed.issuer.clock.advance(3_600)
    other = newcomer(fed)
    for raw in (*parts, beat, fed.issuer.heartbeat()):
        other.take(raw)
    assert other.freshness == "fresh"
    with pytest.raises(Revoked):
        other.core.check_revocation(other.genuine(sub="eve", fv=before))
    with pytest.raises(Revoked):
        other.core.check_revocation(other.genuine(sub="someone", fv=before, jti=revoked.claims.jti))
    assert not other.core.allows(other.genuine(sub="someone", fv=before), "orders:read")
    # And no longer: nothing lives for so long.
    fed.issuer.clock.advance(3_600)
    other.beat()
    assert other.remembered == 0


def test_what_came_before_its_turn_goes_on_from_the_snapshot() -> None:
    fed = busy()
    parts = parts_of(fed)
    later = [fed.issuer.cut_subject(f"u{n}") for n in range(3)]
    other = newcomer(fed)
    for raw in parts:
        other.take(raw)
    for raw in later:
        assert other.take(raw).outcome is Outcome.HELD
    receipt = other.beat()
    assert positions(receipt.applied) == [14, 15, 16]
    assert (other.core.head, other.freshness) == (fed.issuer.head, "fresh")


def test_far_ahead_is_counted_from_the_snapshot_that_waits() -> None:
    fed = busy()
    other = newcomer(fed)
    near = fed.issuer.sign(IssuerCutoff(), seq=13 + HOLD_MAX_RECORDS, prev=bytes(32))
    assert other.take(near)[:2] == (Outcome.REFUSED, "too_far_ahead")
    for raw in parts_of(fed):
        other.take(raw)
    assert other.take(near).outcome is Outcome.HELD


def test_a_gap_is_healed() -> None:
    fed = busy()
    lagging = Fed(fed.issuer, opened=False)
    for raw in fed.issuer.records[:4]:
        lagging.take(raw)
    lagging.beat()
    assert lagging.freshness == "expired"
    for raw in parts_of(fed):
        lagging.take(raw)
    assert told(lagging) == told(fed)


def test_a_snapshot_only_adds() -> None:
    fed = Fed()
    issuer = fed.issuer
    (empty,) = parts_of(fed, head=Head(Position(1, 9), b"\7" * 32))
    token = fed.genuine(sub="alice", jti="t1")
    other = fed.genuine(sub="bob", jti="t2")
    narrowed = fed.genuine(sub="carol")
    for raw in (issuer.cut_subject("alice"), issuer.revoke_token("t2", issuer.now + 99), issuer.keep_only("carol")):
        fed.take(raw)
    fed.take(issuer.publish_keys(published(issuer.token_key, now=issuer.now, state="compromised")))
    fed.beat(head=Head(Position(1, 9), b"\7" * 32))
    assert fed.take(empty).outcome is Outcome.SNAPSHOT
    assert fed.core.head == Head(Position(1, 9), b"\7" * 32)
    for dead in (token, other):
        with pytest.raises(Revoked):
            fed.core.check_revocation(dead)
    assert not fed.core.allows(narrowed, "orders:read")
    assert [key.state for key in fed.core.keys.keys] == ["compromised"]


def test_taking_the_same_again_adds_nothing_twice() -> None:
    fed = busy()
    before = told(fed)
    further = Head(Position(1, 20), b"\7" * 32)
    parts = parts_of(fed, head=further)
    fed.beat(head=further)
    for raw in parts:
        fed.take(raw)
    assert {**told(fed), "head": before["head"]} == before
    assert fed.core.state is not None
    assert len(fed.core.state.narrowings) == 3


def test_what_is_applied_already_needs_no_snapshot() -> None:
    fed = busy()
    before = fed.kept()
    parts = parts_of(fed)
    for raw in (*parts, *parts):
        assert fed.take(raw)[:2] == (Outcome.DUPLICATE, "snapshot_not_needed")
    assert fed.kept() == before


def test_records_that_are_faster_make_it_needless() -> None:
    fed = busy()
    other = newcomer(fed)
    for raw in (*parts_of(fed), *fed.issuer.records):
        other.take(raw)
    other.beat()
    assert (other.core.head, other.core.counters["snapshots"]) == (fed.issuer.head, 0)
    assert other.core._gathering is None


# --- parts ------------------------------------------------------------------------------------------------------------


def large() -> tuple[Fed, list[bytes]]:
    fed = busy()
    state = fed.core.state
    assert state is not None
    state.denied.add_many(range(1, 30_001), fed.issuer.now + 250)
    parts = parts_of(fed)
    assert len(parts) == 4
    return fed, parts


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 2, 3, 2, 1)])
def test_parts_come_in_any_order_and_more_than_once(order: tuple[int, ...]) -> None:
    fed, parts = large()
    other = newcomer(fed)
    other.beat()
    for number in order:
        assert head_of(other) is None
        other.take(parts[number])
    assert told(other) == told(fed)


def test_a_snapshot_with_a_part_missing_is_never_taken() -> None:
    fed, parts = large()
    other = newcomer(fed)
    for raw in (*parts[:3], fed.issuer.heartbeat(), *parts[:3]):
        other.take(raw)
    assert (other.core.head, other.core.counters["snapshots"]) == (None, 0)


def test_parts_of_two_snapshots_are_not_mixed() -> None:
    fed, parts = large()
    fed.issuer.clock.advance(10)
    fed.beat()
    again = parts_of(fed)
    other = newcomer(fed)
    other.beat()
    for raw in (*parts[:2], *again[2:]):
        assert other.take(raw).outcome is Outcome.SNAPSHOT
    for raw in parts[:2]:
        assert other.take(raw)[:2] == (Outcome.DUPLICATE, "older_snapshot")
    assert head_of(other) is None
    for raw in again[:2]:
        other.take(raw)
    assert told(other) == told(fed)


def test_the_newest_that_becomes_whole_wins() -> None:
    fed = busy()
    older = parts_of(fed)
    fed.take(fed.issuer.cut_subject("late"))
    newer = parts_of(fed)
    other = newcomer(fed)
    for raw in (*newer, *older):
        other.take(raw)
    other.beat()
    assert head_of(other) == fed.issuer.head


# --- hostile ones -----------------------------------------------------------------------------------------------------


def test_only_the_feed_key_signs_snapshots() -> None:
    fed = busy()
    issuer = fed.issuer
    (share,) = cut(contents_of(fed.core.state))  # type: ignore[arg-type]
    other = newcomer(fed)
    before = other.kept()
    for key, reason in (
        (issuer.token_key, "unknown_key"),
        (issuer.root_key, "unknown_key"),
        (SigningKey.generate("EdDSA"), "unknown_key"),
    ):
        assert other.take(issuer.snapshot_part(share, key=key))[:2] == (Outcome.REFUSED, reason)
    assert other.take(issuer.snapshot_part(share, iss="https://other"))[:2] == (Outcome.REFUSED, "wrong_issuer")
    (good,) = parts_of(fed)
    for spoiled in (
        good[:-2] + (b"AQ" if good.endswith(b"AA") else b"AA"),
        good[:-1],
        good + b"A",
        good.replace(b".", b"..", 1),
    ):
        assert other.take(spoiled).outcome is Outcome.REFUSED
    assert other.kept() == before


def test_a_jump_as_far_as_numbers_go_leads_nowhere() -> None:
    fed = busy()
    far = Head(Position(1, SEQ_MAX), b"\7" * 32)
    before = fed.kept()
    (part,) = parts_of(fed, head=far)
    assert fed.take(part).outcome is Outcome.SNAPSHOT
    assert fed.kept() == before
    after = fed.issuer.cut_subject("eve")
    assert fed.take(after).outcome is Outcome.APPLIED
    fed.beat()
    assert (fed.core.head, fed.freshness) == (fed.issuer.head, "fresh")


def test_a_snapshot_of_another_history_is_equivocation() -> None:
    fed = busy()
    before = fed.kept()
    (part,) = parts_of(fed, head=Head(fed.issuer.head.position, b"\7" * 32))
    assert fed.take(part).outcome is Outcome.EQUIVOCATION
    assert (fed.kept(), fed.alarms, fed.freshness) == (before, {"equivocation"}, "stale")
    assert fed.core.doubted
    assert len(fed.core.evidence) == 1


def test_a_snapshot_that_the_held_records_contradict_is_equivocation() -> None:
    fed = busy()
    other = newcomer(fed)
    other.take(fed.issuer.records[9])
    (part,) = parts_of(fed, head=Head(Position(1, 10), b"\7" * 32))
    assert other.take(part).outcome is Outcome.EQUIVOCATION
    assert other.alarms == {"equivocation"}


def test_a_record_that_shows_up_after_the_snapshot_was_whole_is_held_against_it() -> None:
    fed = busy()
    other = newcomer(fed)
    (part,) = parts_of(fed, head=Head(Position(1, 10), b"\7" * 32))
    other.take(part)
    assert other.take(fed.issuer.records[9]).outcome is Outcome.HELD
    other.beat()
    assert other.alarms == {"equivocation"}


def test_token_numbers_that_are_none_are_refused_with_their_part() -> None:
    fed = busy()
    other = newcomer(fed)
    share = SnapshotState(latest_iat=1, denied=[Denied(until=2, numbers="AAAA")])
    assert other.take(fed.issuer.snapshot_part(share))[:2] == (Outcome.REFUSED, "malformed")
    for raw in (*parts_of(fed), fed.issuer.heartbeat()):
        other.take(raw)
    assert told(other) == told(fed)


def test_a_snapshot_larger_than_the_room_for_it_is_not_taken_and_ends_freshness(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ostraka_consumers.trust.snapshot.STATE_WEIGHT_MAX", 2)
    fed = busy()
    other = newcomer(fed)
    for raw in (*parts_of(fed), fed.issuer.heartbeat()):
        other.take(raw)
    assert other.alarms == {"state_full"}
    assert other.core.doubted
    assert other.core.state is not None
    assert other.core.state.weight == 0


def test_keys_beyond_the_limits_end_freshness() -> None:
    fed = Fed()
    weak = published(signing_key("ES256", 8), now=fed.issuer.now, lifetime=901)
    share = SnapshotState(latest_iat=fed.issuer.now, keys=[weak])
    further = Head(Position(1, 5), b"\7" * 32)
    before = fed.core.keys
    fed.beat(head=further)
    fed.take(fed.issuer.snapshot_part(share, head=further))
    assert (fed.alarms, fed.core.keys) == ({"beyond_limits"}, before)


def test_after_a_new_root_document_what_was_gathered_before_is_dropped() -> None:
    fed, parts = large()
    other = newcomer(fed)
    other.take(parts[0])
    value = fed.issuer.next_root(epoch=2)
    fed.issuer.adopt_root(value)
    assert other.take(root_bytes(value)).outcome is Outcome.ROOT
    assert other.take(parts[1])[:2] == (Outcome.REFUSED, "wrong_epoch")
    assert other.core._gathering is None


def test_what_a_snapshot_brought_leaves_once_every_token_minted_before_its_head_is_dead() -> None:
    fed = Fed()
    issuer = fed.issuer
    entry = CutoffEntry(level="subject", id="alice", epoch=1, seq=3, iat=issuer.now, until=issuer.now - 5)
    further = Head(Position(1, 5), b"\7" * 32)
    fed.beat(head=further)
    fed.take(issuer.snapshot_part(SnapshotState(latest_iat=issuer.now, cutoffs=[entry]), head=further))
    longest = issuer.limits.token_lifetime + CLOCK_TOLERANCE
    for seconds, left in ((longest - 1, 1), (1 + ceil(longest / HORIZON_STEPS), 0)):
        issuer.clock.advance(seconds)
        fed.beat(head=further)
        assert fed.remembered == left


def test_a_snapshot_made_under_a_later_root_document_waits_for_it() -> None:
    fed = busy()
    other = Fed(fed.issuer)
    value = fed.issuer.next_root(limits={"token_keys": 3})
    (record,) = fed.issuer.adopt_root(value)
    fed.take(record)
    (part,) = parts_of(fed)
    other.beat()
    assert other.take(part)[:2] == (Outcome.REFUSED, "root_missing")
    assert other.take(root_bytes(value)).outcome is Outcome.ROOT
    assert other.take(part).outcome is Outcome.SNAPSHOT
    assert head_of(other) == fed.issuer.head
    (third,) = fed.issuer.adopt_root(fed.issuer.next_root())
    assert other.take(third).outcome is Outcome.APPLIED
    assert (other.core.root_version, other.alarms) == (3, set())


def test_another_story_about_what_came_before_the_jump_is_still_equivocation() -> None:
    fed = busy()
    lagging = Fed(fed.issuer, opened=False)
    for raw in fed.issuer.records[:4]:
        lagging.take(raw)
    lagging.beat()
    for raw in parts_of(fed):
        lagging.take(raw)
    assert head_of(lagging) == fed.issuer.head
    other = fed.issuer.sign(IssuerCutoff(), seq=3, prev=bytes(32))
    assert lagging.take(other).outcome is Outcome.EQUIVOCATION
    assert lagging.take(fed.issuer.records[2]).outcome is Outcome.DUPLICATE
