"""The seven rules of the trust core, one after the other. Whatever is refused must leave what was kept as it was."""

import inspect
from math import ceil
from typing import Any

import pytest

from ostraka_consumers.errors import Expired, NotReady, NotYetValid, Revoked, Stale
from ostraka_consumers.limits import HASH_WINDOW, HOLD_MAX_RECORDS, HOLDER_WEIGHT, HORIZON_STEPS
from ostraka_consumers.trust.core import TrustCore
from ostraka_consumers.trust.receipt import Outcome
from ostraka_schemas.events import IssuerCutoff, PermissionRevoked, RootPublished, SessionRevoked
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.limits import CLOCK_TOLERANCE, SNAPSHOT_PART_MAX_BYTES
from ostraka_schemas.records import GENESIS, Head, Position, record_hash
from ostraka_schemas.root import FeedRole, Limits, RootDocument, RootRole, sign_root
from ostraka_schemas.subjects import Complex, Opaque
from tests.consumers.trust.feed import Fed, positions
from tests.support.fake_issuer import YEAR, FakeIssuer, published

# --- 1. Signature, typ, key and limits first; only then is anything remembered ---------------------------------------


@pytest.mark.parametrize(
    "raw", [None, 1, "text", bytearray(b"x"), memoryview(b"x"), ["x"], b"x" * (SNAPSHOT_PART_MAX_BYTES + 1)]
)
def test_1_what_is_no_bytes_or_too_many_is_refused_unread(raw: Any) -> None:
    fed = Fed()
    before = fed.kept()
    assert fed.take(raw)[:2] == (Outcome.REFUSED, "malformed")
    assert fed.kept() == before


def test_1_nothing_is_believed_before_a_root_document() -> None:
    fed = Fed(opened=False)
    _, keys = fed.issuer.open()
    for raw in (keys, fed.issuer.heartbeat(), fed.issuer.cut_everyone()):
        assert fed.take(raw)[:3] == (Outcome.REFUSED, "no_root_yet", ())
    assert (fed.core.head, fed.core.state, fed.core.known_head, len(fed.core.keys)) == (None, None, None, 0)
    assert fed.core.max_staleness == 0


def rooted(
    issuer: FakeIssuer, *, signer: SigningKey | None = None, feed: SigningKey | None = None, **changes: Any
) -> bytes:
    """A first record with a root document that is not the one the anchor leads to."""
    content = {"iss": issuer.issuer, "version": 1, "epoch": 1, "iat": issuer.now, "exp": issuer.now + YEAR}
    signing = signer or issuer.root_key
    role = RootRole(keys=[issuer.root_key.public.to_jwk()], threshold=1)
    keys = FeedRole(keys=[(feed or issuer.feed_key).public.to_jwk()], exp=issuer.now + YEAR)
    root = RootDocument.model_validate({**content, "root": role, "feed": keys, **changes})
    return issuer.sign(RootPublished(**sign_root(root, [signing])), seq=1, prev=GENESIS)


def test_1_a_root_document_that_the_anchor_does_not_lead_to_is_refused() -> None:
    fed, thief = Fed(opened=False), SigningKey.generate("EdDSA")
    issuer = fed.issuer
    event = RootPublished(**sign_root(issuer.root, [issuer.root_key]))
    wrong: dict[str, bytes] = {
        "root_not_trusted": rooted(issuer, signer=thief),
        "wrong_issuer": rooted(issuer, iss="https://other"),
        "feed_key_expired": rooted(issuer, iat=1, exp=issuer.now - 1),
        "wrong_epoch": rooted(issuer, epoch=2),
        "unknown_key": rooted(issuer, feed=thief),
        "malformed_root": issuer.sign(RootPublished(payload="e30", signatures=[]), seq=1, prev=GENESIS),
    }
    for reason, raw in wrong.items():
        assert fed.take(raw)[:3] == (Outcome.REFUSED, reason, ())
        assert (fed.core.head, fed.core.state) == (None, None)
    stolen = issuer.sign(event, seq=1, prev=GENESIS, key=thief)
    assert fed.take(stolen)[:3] == (Outcome.REFUSED, "unknown_key", ())
    assert fed.take(issuer.publish_root()).outcome is Outcome.APPLIED


def test_1_a_feed_key_past_its_time_signs_nothing() -> None:
    issuer = FakeIssuer()
    issuer.root = issuer.root.model_copy(update={"feed": issuer.root.feed.model_copy(update={"exp": issuer.now + 100})})
    issuer.sign_first_root()
    fed = Fed(issuer)
    issuer.clock.advance(100)
    assert fed.beat().outcome is Outcome.HEARTBEAT
    issuer.clock.advance(1)
    before = fed.kept()
    assert fed.beat()[:3] == (Outcome.REFUSED, "feed_key_expired", ())
    assert fed.take(issuer.cut_everyone())[:3] == (Outcome.REFUSED, "feed_key_expired", ())
    assert fed.kept() == before


# --- 2. The next seq with the right prev; duplicates; equivocation ---------------------------------------------------


def test_2_the_next_record_is_applied_and_only_once() -> None:
    fed = Fed()
    raw = fed.issuer.cut_subject("alice")
    assert positions(fed.take(raw).applied) == [3]
    before = fed.kept()
    for again in (raw, *fed.issuer.records):
        assert fed.take(again)[:3] == (Outcome.DUPLICATE, None, ())
    assert fed.kept() == before


@pytest.mark.parametrize("seq", [1, 2, 3], ids=["opening", "passed", "head"])
def test_2_other_bytes_for_a_passed_position_are_equivocation(seq: int) -> None:
    fed = Fed()
    fed.take(fed.issuer.cut_subject("alice"))
    before = fed.kept()
    prev = record_hash(fed.issuer.records[seq - 2]) if seq > 1 else GENESIS
    other = fed.issuer.sign(PermissionRevoked(permission="a:b"), seq=seq, prev=prev)
    assert fed.take(other)[:3] == (Outcome.EQUIVOCATION, None, ())
    assert fed.kept() == before
    assert fed.alarms == {"equivocation"}
    assert fed.core.evidence == ((Position(1, seq), fed.issuer.records[seq - 1], other),)
    assert fed.freshness == "stale"


def test_2_a_next_record_that_attaches_elsewhere_is_equivocation_with_the_head_as_evidence() -> None:
    fed = Fed()
    before = fed.kept()
    other = fed.issuer.sign(IssuerCutoff(), seq=3, prev=bytes(32))
    assert fed.take(other).outcome is Outcome.EQUIVOCATION
    assert fed.kept() == before
    assert fed.core.evidence == ((Position(1, 3), fed.issuer.records[1], other),)


def test_2_other_bytes_for_a_held_position_are_equivocation() -> None:
    fed = Fed()
    third, fourth = fed.issuer.cut_subject("a"), fed.issuer.cut_subject("b")
    assert fed.take(fourth).outcome is Outcome.HELD
    before = fed.kept()
    other = fed.issuer.sign(IssuerCutoff(), seq=4, prev=record_hash(third))
    assert fed.take(other).outcome is Outcome.EQUIVOCATION
    assert fed.kept() == before
    assert fed.core.evidence == ((Position(1, 4), fourth, other),)
    assert positions(fed.take(third).applied) == [3, 4]


def test_2_a_held_record_that_turns_out_to_attach_elsewhere_is_equivocation_and_not_applied() -> None:
    fed = Fed()
    fork = fed.issuer.sign(IssuerCutoff(), seq=4, prev=bytes(32))
    assert fed.take(fork).outcome is Outcome.HELD
    third = fed.issuer.cut_subject("alice")
    assert positions(fed.take(third).applied) == [3]
    assert fed.alarms == {"equivocation"}
    assert fed.core.evidence == ((Position(1, 4), third, fork),)
    assert positions(fed.take(fed.issuer.cut_subject("bob")).applied) == [4]
    assert len(fed.core.state.cutoffs if fed.core.state else ()) == 2


@pytest.mark.parametrize("seq", [1, 2])
def test_2_a_heartbeat_that_names_another_record_at_a_known_position_is_equivocation(seq: int) -> None:
    fed = Fed()
    fed.issuer.clock.advance(5)
    before = fed.kept()
    lie = fed.issuer.heartbeat(head=Head(Position(1, seq), bytes(32)))
    assert fed.take(lie).outcome is Outcome.EQUIVOCATION
    assert fed.kept() == before
    assert fed.core.evidence == ((Position(1, seq), fed.issuer.records[seq - 1], lie),)


def test_2_a_heartbeat_ahead_is_compared_when_its_position_is_reached() -> None:
    fed = Fed()
    third = fed.issuer.cut_subject("alice")
    lie = fed.issuer.heartbeat(head=Head(Position(1, 3), bytes(32)), iat=fed.issuer.now + 1)
    assert fed.take(lie).outcome is Outcome.HEARTBEAT
    vouched = fed.core.age(fed.issuer.clock.now())
    assert fed.take(third).outcome is Outcome.APPLIED
    assert fed.alarms == {"equivocation"}
    assert fed.core.evidence == ((Position(1, 3), third, lie),)
    assert fed.core.age(fed.issuer.clock.now()) == vouched


def test_2_a_heartbeat_ahead_is_compared_also_when_its_position_is_passed_in_one_go() -> None:
    fed = Fed()
    raws = [fed.issuer.cut_subject(sub) for sub in "abc"]
    lie = fed.issuer.heartbeat(head=Head(Position(1, 4), bytes(32)), iat=fed.issuer.now + 1)
    fed.take(lie)
    fed.take(raws[2])
    assert fed.take(raws[1]).outcome is Outcome.HELD
    assert positions(fed.take(raws[0]).applied) == [3, 4, 5]
    assert fed.alarms == {"equivocation"}
    assert fed.core.evidence == ((Position(1, 4), raws[1], lie),)


def test_2_a_heartbeat_that_contradicts_a_held_record_or_an_earlier_heartbeat_is_equivocation() -> None:
    fed = Fed()
    fed.issuer.cut_subject("alice")
    fourth = fed.issuer.cut_subject("bob")
    fed.take(fourth)
    lie = fed.issuer.heartbeat(head=Head(Position(1, 4), bytes(32)), iat=fed.issuer.now + 1)
    assert fed.take(lie).outcome is Outcome.EQUIVOCATION
    first = fed.issuer.heartbeat(head=Head(Position(1, 9), bytes(32)), iat=fed.issuer.now + 2)
    second = fed.issuer.heartbeat(head=Head(Position(1, 9), b"x" * 32), iat=fed.issuer.now + 3)
    assert fed.take(first).outcome is Outcome.HEARTBEAT
    assert fed.take(second).outcome is Outcome.EQUIVOCATION
    assert fed.core.evidence == ((Position(1, 4), fourth, lie), (Position(1, 9), first, second))


def test_2_after_an_equivocation_no_heartbeat_vouches_any_more() -> None:
    fed = Fed()
    fed.take(fed.issuer.sign(IssuerCutoff(), seq=2, prev=bytes(32)))
    for _ in range(12):
        fed.issuer.clock.advance(5)
        fed.beat()
    assert fed.freshness == "stale"
    fed.issuer.clock.advance(1)
    assert fed.freshness == "expired"


# --- 3. A gap is held open within bounds; nothing is skipped ---------------------------------------------------------


def test_3_records_before_their_turn_wait_for_it() -> None:
    fed = Fed()
    raws = [fed.issuer.cut_subject(str(n)) for n in range(5)]
    for raw in reversed(raws[1:]):
        assert fed.take(raw).outcome is Outcome.HELD
        assert fed.take(raw).outcome is Outcome.HELD
    assert fed.core.head == (Position(1, 2), record_hash(fed.issuer.records[1]))
    assert (fed.core.known_head, fed.core.behind, fed.freshness) == ((1, 7), True, "lagging")
    assert positions(fed.take(raws[0]).applied) == [3, 4, 5, 6, 7]
    assert (fed.core.behind, fed.freshness) == (False, "fresh")


def test_3_what_is_too_far_ahead_is_let_go_but_not_forgotten() -> None:
    fed = Fed()
    before = fed.kept()
    far = fed.issuer.sign(IssuerCutoff(), seq=3 + HOLD_MAX_RECORDS + 1, prev=bytes(32))
    assert fed.take(far)[:3] == (Outcome.REFUSED, "too_far_ahead", ())
    assert fed.kept() == before
    assert fed.core.known_head == (1, 3 + HOLD_MAX_RECORDS + 1)
    assert fed.core.behind


def test_3_a_gap_keeps_revocations_from_taking_effect_but_never_those_before_it() -> None:
    fed = Fed()
    token = fed.genuine()
    fed.take(fed.issuer.cut_subject("bob"))
    fed.issuer.cut_subject("carol")
    fed.take(fed.issuer.cut_subject("alice"))
    fed.core.check_revocation(token)
    fed.take(fed.issuer.records[3])
    with pytest.raises(Revoked):
        fed.core.check_revocation(token)


# --- 4. Nothing is ever un-revoked -----------------------------------------------------------------------------------


def test_4_an_entry_stays_until_the_last_token_it_could_meet_has_expired() -> None:
    fed = Fed(FakeIssuer(limits=Limits(token_lifetime=300)))
    token = fed.genuine(jti="t", permissions=["a:b"])
    fed.take(fed.issuer.cut_subject("alice"))
    fed.take(fed.issuer.revoke_token("t", fed.issuer.now + 300))
    fed.take(fed.issuer.keep_only("alice"))
    fed.take(fed.issuer.revoke_permission("a:b"))
    assert fed.core.state is not None
    for seconds in (100, 100, 100, 10):
        fed.issuer.clock.advance(seconds)
        fed.beat()
        with pytest.raises(Revoked):
            fed.core.check_revocation(token)
        assert not fed.core.allows(token, "a:b")
        assert fed.remembered == 4
    fed.issuer.clock.advance(61)  # one bucket of the deny list more
    fed.beat()
    assert fed.remembered == 0
    with pytest.raises(Expired):
        fed.core.check_times(token, fed.core.now(fed.issuer.clock.now()))


def test_4_what_was_signed_by_a_slow_clock_is_not_forgotten_with_the_first_heartbeat_of_a_right_one() -> None:
    fed = Fed()
    issuer = fed.issuer
    token = fed.genuine()
    record = issuer.append(
        issuer.sign(
            SessionRevoked(event_timestamp=issuer.now - 3_600),
            issuer.user("alice"),
            seq=3,
            prev=issuer.head.hash,
            iat=issuer.now - 3_600,
        )
    )
    newcomer = Fed(issuer, opened=False)
    for raw in issuer.records:
        newcomer.take(raw)
    fed.take(record)
    for each in (fed, newcomer):
        each.beat()
        with pytest.raises(Revoked):
            each.core.check_revocation(token)


def test_4_a_token_whose_revocations_are_forgotten_is_not_accepted_though_its_time_has_not_come_to_an_end() -> None:
    fed = Fed()
    fed.beat(iat=fed.issuer.now + 9)
    token = fed.genuine(exp=fed.issuer.now + 8, iat=fed.issuer.now)
    with pytest.raises(Stale, match="forgotten"):
        fed.core.check_times(token, fed.issuer.now)


def test_4_a_record_from_far_in_the_future_is_kept_as_long_as_a_clock_may_be_wrong_and_no_longer() -> None:
    fed = Fed(FakeIssuer(limits=Limits(token_lifetime=300)))
    issuer = fed.issuer
    raw = issuer.sign(
        SessionRevoked(event_timestamp=1), issuer.user("a"), seq=3, prev=issuer.head.hash, iat=issuer.now + 10**6
    )
    fed.take(issuer.append(raw))
    for seconds, left in ((7_200 + 310, 1), (1 + ceil(310 / HORIZON_STEPS), 0)):
        issuer.clock.advance(seconds)
        fed.beat()
        assert fed.remembered == left


def test_4_room_is_counted_by_what_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostraka_consumers.trust.effects.STATE_WEIGHT_MAX", 300)
    fed = Fed()
    patterns = [f"r{n}:a" for n in range(256)]
    fed.take(fed.issuer.keep_only("a", *patterns))
    fed.take(fed.issuer.keep_only("b", *patterns))
    assert fed.alarms == set()
    fed.take(fed.issuer.keep_only("c"))
    assert fed.alarms == {"state_full"}
    assert fed.core.state is not None
    assert fed.core.state.weight == 2 * (HOLDER_WEIGHT + 256)
    fed.issuer.clock.advance(1_000)
    fed.beat()
    assert fed.remembered == 0


def test_4_late_events_keep_entries_longer() -> None:
    fed = Fed(FakeIssuer(limits=Limits(token_lifetime=300, late=3_600)))
    fed.take(fed.issuer.cut_subject("alice"))
    fed.issuer.clock.advance(3_910)
    fed.beat()
    assert fed.remembered == 1
    fed.issuer.clock.advance(1 + ceil(3_910 / HORIZON_STEPS))
    fed.beat()
    assert fed.remembered == 0


@pytest.mark.parametrize("quiet", [0, 3_600])
@pytest.mark.parametrize("back", [60, 3_600, 10**9])
def test_4_an_issuer_whose_clock_stepped_back_revokes_as_long_as_any_other(back: int, quiet: int) -> None:
    fed = Fed()
    fed.issuer.clock.advance(quiet)
    fed.beat()
    token, another = fed.genuine(), fed.genuine(sub="bob")
    early = fed.issuer.now - back
    cut = fed.issuer.append(
        fed.issuer.sign(
            SessionRevoked(event_timestamp=early),
            fed.issuer.user("alice"),
            seq=3,
            prev=fed.issuer.head.hash,
            iat=early,
        )
    )
    assert fed.take(cut).outcome is Outcome.APPLIED
    for seconds in (0, 290):
        fed.issuer.clock.advance(seconds)
        fed.beat()
        with pytest.raises(Revoked):
            fed.core.check_revocation(token)
        fed.core.check_revocation(another)


def test_4_the_latest_signed_time_counts_also_when_no_heartbeat_came_before() -> None:
    issuer = FakeIssuer()
    issuer.open()
    issuer.cut_subject("bob")
    early = issuer.now - 3_600
    issuer.append(issuer.sign(IssuerCutoff(), seq=4, prev=issuer.head.hash, iat=early))
    fed = Fed(issuer, opened=False)
    for raw in issuer.records:
        fed.take(raw)
    token = fed.genuine(fv=[1, 3])
    issuer.clock.advance(290)
    fed.beat()
    with pytest.raises(Revoked):
        fed.core.check_revocation(token)


def test_4_one_record_from_the_future_does_not_keep_everything_after_it_for_ever() -> None:
    fed = Fed()
    issuer = fed.issuer
    fed.take(issuer.append(issuer.sign(IssuerCutoff(), seq=3, prev=issuer.head.hash, iat=issuer.now + YEAR)))
    for n in range(20):
        fed.take(issuer.cut_subject(str(n)))
        fed.take(issuer.keep_only(str(n)))
    issuer.clock.advance(1_000)
    fed.beat()
    assert fed.core.state is not None
    assert (fed.remembered, len(fed.core.state.cutoffs)) == (0, 1)


def test_4_a_wall_clock_that_steps_neither_forgets_nor_revives() -> None:
    fed = Fed()
    token = fed.genuine()
    fed.take(fed.issuer.cut_subject("alice"))
    issuer_now = fed.issuer.now
    for step in (10_000, -20_000, 5 * YEAR, -10 * YEAR):
        fed.issuer.clock.step_wall(step)
        for raw in fed.issuer.records:
            fed.take(raw)
        fed.take(fed.issuer.heartbeat(iat=issuer_now))
        with pytest.raises(Revoked):
            fed.core.check_revocation(token)
        assert fed.core.now(fed.issuer.clock.now()) >= issuer_now


# --- 5. Good state is never replaced by the result of a failure ------------------------------------------------------


def test_5_a_key_set_beyond_the_limits_leaves_the_old_one_and_ends_freshness() -> None:
    fed = Fed()
    keys = fed.core.keys
    foreign = SigningKey.generate("EdDSA")
    raw = fed.issuer.publish_keys(published(foreign, now=fed.issuer.now))
    assert fed.take(raw).outcome is Outcome.APPLIED
    assert fed.core.keys is keys
    assert fed.alarms == {"beyond_limits"}
    assert fed.freshness == "stale"
    assert fed.core.head == fed.issuer.head


# --- 6. What is signed but not understood ----------------------------------------------------------------------------

NEW = "urn:example:new"


@pytest.mark.parametrize(
    ("events", "sub_id", "alarms"),
    [
        ({NEW: {}}, None, set()),
        ({NEW: {"must_understand": False}}, None, set()),
        ({NEW: {"must_understand": True}}, None, {"not_understood"}),
        ({IssuerCutoff.uri: {"must_understand": True, "new": 1}}, None, {"not_understood"}),
        ({IssuerCutoff.uri: {"must_understand": 1}}, None, {"defective_record"}),
        ({PermissionRevoked.uri: {"permission": "everything"}}, None, {"defective_record"}),
        ({PermissionRevoked.uri: {}}, None, {"defective_record"}),
        ({SessionRevoked.uri: {"event_timestamp": 1}}, None, {"defective_record"}),
        ({RootPublished.uri: {"payload": "e30", "signatures": []}}, None, {"root_refused"}),
        ({IssuerCutoff.uri: {}}, {"format": "uri", "uri": "https://other"}, set()),
        (
            {SessionRevoked.uri: {"event_timestamp": 1}},
            {"format": "iss_sub", "iss": "https://other", "sub": "alice"},
            set(),
        ),
    ],
    ids=range(11),
)
def test_6_a_record_that_is_not_understood_keeps_its_place_and_does_nothing_else(
    events: dict[str, Any], sub_id: dict[str, Any] | None, alarms: set[str]
) -> None:
    fed = Fed()
    token = fed.genuine()
    raw = fed.issuer.append(fed.issuer.sign_payload(fed.issuer.payload(events, sub_id=sub_id)))
    assert positions(fed.take(raw).applied) == [3]
    assert fed.core.head == fed.issuer.head
    assert fed.alarms == alarms
    assert fed.freshness == ("stale" if alarms else "fresh")
    fed.core.check_revocation(token)
    assert fed.core.state is not None
    assert fed.core.state.weight == 0
    assert positions(fed.take(fed.issuer.cut_subject("alice")).applied) == [4]
    with pytest.raises(Revoked):
        fed.core.check_revocation(token)


def test_6_when_there_is_no_room_the_verifier_stops_vouching_but_still_takes_keys_and_the_great_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ostraka_consumers.trust.effects.STATE_WEIGHT_MAX", 2)
    fed = Fed()
    token = fed.genuine()
    for n in range(2):
        fed.take(fed.issuer.revoke_token(str(n), fed.issuer.now + 300))
    assert fed.alarms == set()
    fed.take(fed.issuer.revoke_token("more", fed.issuer.now + 300))
    assert fed.alarms == {"state_full"}
    fed.take(fed.issuer.publish_keys(published(fed.issuer.token_key, now=fed.issuer.now, state="compromised")))
    assert fed.core.keys.keys[0].state == "compromised"
    fed.take(fed.issuer.cut_everyone())
    with pytest.raises(Revoked):
        fed.core.check_revocation(token)
    assert fed.core.state is not None
    assert fed.core.state.weight == 2 + HOLDER_WEIGHT


# --- 7. Kafka has no say ---------------------------------------------------------------------------------------------


def test_7_nothing_but_bytes_and_the_clock_is_handed_in() -> None:
    assert list(inspect.signature(TrustCore.receive).parameters) == ["self", "raw", "at"]


# --- heartbeats ------------------------------------------------------------------------------------------------------


def test_a_heartbeat_from_the_future_is_not_believed() -> None:
    fed = Fed()
    before = fed.kept()
    assert fed.beat(iat=fed.issuer.now + 11)[:3] == (Outcome.REFUSED, "from_the_future", ())
    assert fed.kept() == before
    assert fed.alarms == {"clock"}
    assert fed.beat(iat=fed.issuer.now + 10).outcome is Outcome.HEARTBEAT


def test_an_older_heartbeat_and_the_same_one_again_are_no_news() -> None:
    fed = Fed()
    old = fed.issuer.heartbeat(iat=fed.issuer.now - 1)
    fed.issuer.clock.advance(5)
    new, twin = fed.issuer.heartbeat(), fed.issuer.heartbeat()
    assert fed.take(new).outcome is Outcome.HEARTBEAT
    before = fed.kept()
    assert fed.take(new)[:3] == (Outcome.DUPLICATE, None, ())
    for raw in (old, twin, old, twin):
        assert fed.take(raw)[:3] == (Outcome.DUPLICATE, "older_heartbeat", ())
    assert fed.kept() == before


def test_a_heartbeat_of_the_same_second_that_knows_more_is_news() -> None:
    fed = Fed()
    third = fed.issuer.cut_subject("alice")
    assert fed.beat().outcome is Outcome.HEARTBEAT
    assert fed.freshness == "lagging"
    fed.take(third)
    assert fed.freshness == "fresh"


def test_a_heartbeat_ahead_vouches_once_its_records_are_applied() -> None:
    fed = Fed()
    fed.issuer.clock.advance(20)
    third = fed.issuer.cut_subject("alice")
    fed.beat()
    assert fed.core.age(fed.issuer.clock.now()) == 20
    fed.take(third)
    assert fed.core.age(fed.issuer.clock.now()) == 0


def test_a_heartbeat_whose_head_is_too_old_to_compare_vouches_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostraka_consumers.trust.chain.HASH_WINDOW", 3)
    fed = Fed()
    for n in range(4):
        fed.take(fed.issuer.cut_subject(str(n)))
    before = fed.kept()
    fed.issuer.clock.advance(5)
    for seq in (1, 2, 3):
        assert fed.beat(head=Head(Position(1, seq), bytes(32)))[:3] == (Outcome.REFUSED, "head_too_old", ())
    assert {**fed.kept(), "now": 0} == {**before, "now": 0}
    assert HASH_WINDOW > 1_000


@pytest.mark.parametrize(("later", "forgets"), [(2 * CLOCK_TOLERANCE, False), (2 * CLOCK_TOLERANCE + 1, True)])
def test_a_heartbeat_that_does_not_know_of_older_records_is_no_news_and_an_alarm(later: int, forgets: bool) -> None:
    fed = Fed()
    before = fed.issuer.head
    fed.take(fed.issuer.cut_subject("bob"))
    fed.issuer.clock.advance(later)
    kept = fed.kept()
    receipt = fed.beat(head=before)
    if not forgets:
        assert (receipt.outcome, fed.alarms) == (Outcome.HEARTBEAT, set())
        return
    # The issuer goes on from a copy of its database that was made before the record.
    assert receipt[:2] == (Outcome.REFUSED, "forgets_records")
    assert fed.alarms == {"rolled_back"}
    assert {**fed.kept(), "now": 0} == {**kept, "now": 0}
    assert fed.freshness == "stale"
    # It is no doubt: who heard it from somebody with a wrong clock goes on with the next that knows.
    assert fed.beat().outcome is Outcome.HEARTBEAT
    assert fed.freshness == "fresh"


# --- what a token betrays --------------------------------------------------------------------------------------------


def test_a_token_from_further_on_betrays_that_records_are_withheld() -> None:
    fed = Fed()
    fed.issuer.cut_subject("bob")
    fed.core.note_position(fed.genuine(), fed.issuer.now)
    assert (fed.core.known_head, fed.core.behind, fed.freshness) == ((1, 3), True, "lagging")
    fed.take(fed.issuer.records[2])
    assert (fed.core.behind, fed.freshness) == (False, "fresh")


def test_a_token_that_lies_about_its_position_is_believed_for_seconds_only() -> None:
    fed = Fed()
    head = fed.core.head
    liar = fed.genuine(fv=[1, 2**53 - 1])
    fed.core.note_position(liar, fed.issuer.now)
    assert (fed.core.behind, fed.core.head) == (True, head)
    for _ in range(3):
        fed.issuer.clock.advance(5)
        fed.beat()
    assert fed.core.known_head == (1, 2)
    fed.core.note_position(liar, fed.issuer.now)
    assert (fed.core.behind, fed.freshness) == (False, "fresh")


def test_a_token_that_claims_to_come_from_the_future_betrays_nothing() -> None:
    fed = Fed()
    for ahead, believed in ((11, False), (10, True)):
        fed.core.note_position(fed.genuine(fv=[1, 99], iat=fed.issuer.now + ahead), fed.issuer.now)
        assert fed.core.behind == believed


@pytest.mark.parametrize("fv", [None, [1, 2], [1, 1]])
def test_a_token_of_no_or_of_a_known_position_betrays_nothing(fv: list[int] | None) -> None:
    fed = Fed()
    fed.core.note_position(fed.genuine(fv=fv), fed.issuer.now)
    assert fed.core.known_head == (1, 2)


def test_a_token_of_a_later_epoch_betrays_that_it_is_withheld_and_cannot_be_judged() -> None:
    fed = Fed()
    later = fed.genuine(fv=[2, 2])
    fed.core.note_position(later, fed.issuer.now)
    assert (fed.core.known_head, fed.freshness) == ((2, 2), "lagging")
    with pytest.raises(Stale, match="epoch 2"):
        fed.core.check_revocation(later)
    for raw in fed.issuer.adopt_root(fed.issuer.next_root(epoch=2)):
        fed.take(raw)
    fed.beat()
    fed.core.check_revocation(later)
    assert fed.freshness == "fresh"
    fed.core.note_position(fed.genuine(fv=[1, 99]), fed.issuer.now)
    assert fed.core.known_head == (2, 2)


# --- readiness -------------------------------------------------------------------------------------------------------


def test_what_is_missing_is_said_step_by_step() -> None:
    fed = Fed(opened=False)
    issuer, core = fed.issuer, fed.core

    def missing() -> str:
        return str(core.why_not_ready(issuer.clock.now()))

    assert "trust anchor" in missing()
    fed.take(issuer.publish_root())
    assert "no key set up to position 1:1" in missing()
    fed.take(issuer.publish_keys(published(issuer.token_key, now=issuer.now)))
    assert "no heartbeat vouches" in missing()
    third = issuer.cut_subject("alice")
    fed.beat()
    assert "the feed is at 1:3" in missing()
    fed.take(third)
    assert core.why_not_ready(issuer.clock.now()) is None


def test_a_copy_of_the_feed_from_yesterday_is_not_enough() -> None:
    fed = Fed(opened=False)
    yesterday = [*fed.issuer.open(), fed.issuer.heartbeat()]
    fed.issuer.clock.advance(24 * 3600)
    for raw in yesterday:
        fed.take(raw)
    assert "too old" in str(fed.core.why_not_ready(fed.issuer.clock.now()))
    fed.beat()
    assert fed.core.why_not_ready(fed.issuer.clock.now()) is None


def test_the_anchors_minimum_must_be_reached() -> None:
    issuer = FakeIssuer()
    issuer.open()
    third = issuer.cut_subject("bob")
    anchor = type(issuer.anchor)(issuer.issuer, issuer.anchor.root_thumbprints, Position(1, 3))
    core = TrustCore(anchor)
    for raw in (*issuer.records[:2], issuer.heartbeat(head=Head(Position(1, 2), record_hash(issuer.records[1])))):
        core.receive(raw, issuer.clock.now())
    assert "at least 1:3" in str(core.why_not_ready(issuer.clock.now()))
    core.receive(third, issuer.clock.now())
    assert core.why_not_ready(issuer.clock.now()) is None


# --- what is asked about tokens --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "error"),
    [(-11, NotYetValid), (-10.5, NotYetValid), (-10, None), (0, None), (299.9, None), (300, Expired), (10**9, Expired)],
)
def test_a_token_has_its_time(at: float, error: type[Exception] | None) -> None:
    fed = Fed()
    token, now = fed.genuine(), fed.issuer.now
    if error is None:
        fed.core.check_times(token, now + at)
    else:
        with pytest.raises(error):
            fed.core.check_times(token, now + at)


@pytest.mark.parametrize("nbf", [11, 200, 2**53 - 1])
def test_not_before_is_held_to(nbf: int) -> None:
    fed = Fed()
    claim = min(fed.issuer.now + nbf, 2**53 - 1)
    with pytest.raises(NotYetValid):
        fed.core.check_times(fed.genuine(nbf=claim), fed.issuer.now)


@pytest.mark.parametrize(
    ("age", "limit", "stale"),
    [
        (0, float("inf"), False),
        (60, float("inf"), False),
        (60.5, float("inf"), True),
        (15, 15, False),
        (15.5, 15, True),
        (61, 10**9, True),
        (0, 0, False),
        (0.5, 0, True),
        (0, -1, True),
        (0, float("nan"), True),
        (0, float("-inf"), True),
    ],
)
def test_the_stricter_bound_on_staleness_holds(age: float, limit: float, stale: bool) -> None:
    fed = Fed()
    if stale:
        with pytest.raises(Stale):
            fed.core.check_staleness(fed.issuer.now + age, limit)
    else:
        fed.core.check_staleness(fed.issuer.now + age, limit)


@pytest.mark.parametrize(("wanted", "bound"), [(None, 60.0), (15, 15), (600, 60.0), (float("nan"), 60.0)])
def test_a_verifier_may_be_stricter_than_the_root_document_never_laxer(wanted: float | None, bound: float) -> None:
    assert Fed(max_staleness=wanted).core.max_staleness == bound


def test_before_there_is_a_feed_every_question_is_refused() -> None:
    token = Fed().genuine()
    empty = Fed(opened=False).core
    with pytest.raises(NotReady):
        empty.check_revocation(token)
    with pytest.raises(Stale):
        empty.check_staleness(0, float("inf"))
    assert not empty.allows(token, "orders:create")
    assert not empty.holds_key_of(token)


def test_ids_of_different_levels_are_not_mixed_up() -> None:
    fed = Fed()
    same = fed.genuine(sub="x", client_id="y", sid="z")
    for subject in (fed.issuer.user("y"), fed.issuer.user("z"), Complex(application=Opaque(id="x"))):
        fed.take(fed.issuer.record(SessionRevoked(event_timestamp=1), subject))
        fed.core.check_revocation(same)
    session = Complex(user=fed.issuer.user("x"), session=Opaque(id="y"))
    fed.take(fed.issuer.record(SessionRevoked(event_timestamp=1), session))
    fed.core.check_revocation(same)
    fed.take(fed.issuer.record(SessionRevoked(event_timestamp=1), fed.issuer.user("x")))
    with pytest.raises(Revoked):
        fed.core.check_revocation(same)
