"""Bounds of the trust core, met exactly and passed by one."""

import pytest

from ostraka_consumers.errors import Revoked, Stale
from ostraka_consumers.limits import ISSUER_CLOCK_ERROR_MAX
from ostraka_consumers.trust.core import TrustCore
from ostraka_consumers.trust.instant import Instant
from ostraka_consumers.trust.receipt import Outcome
from ostraka_schemas import base64url
from ostraka_schemas.events import IssuerCutoff, SessionRevoked
from ostraka_schemas.limits import CLOCK_TOLERANCE
from ostraka_schemas.root import Limits
from tests.consumers.trust.feed import Fed
from tests.support.fake_issuer import FakeIssuer


@pytest.mark.parametrize(("passed", "believed"), [(CLOCK_TOLERANCE, True), (CLOCK_TOLERANCE + 1, False)])
def test_a_token_from_further_on_is_believed_until_a_heartbeat_is_younger_than_any_clock_excuses(
    passed: int, believed: bool
) -> None:
    fed = Fed()
    fed.core.note_position(fed.genuine(fv=[1, 9]), fed.issuer.now)
    fed.issuer.clock.advance(passed)
    fed.beat()
    assert (fed.core.known_head == (1, 9)) == believed
    assert fed.core.behind == believed
    fed.issuer.clock.advance(1)
    assert fed.beat().outcome is Outcome.HEARTBEAT
    assert not fed.core.behind


@pytest.mark.parametrize(("age", "believed"), [(CLOCK_TOLERANCE, True), (CLOCK_TOLERANCE + 1, False)])
def test_a_token_minted_long_before_the_newest_heartbeat_betrays_nothing(age: int, believed: bool) -> None:
    fed = Fed()
    now = fed.issuer.now
    fed.core.note_position(fed.genuine(fv=[1, 9], iat=now - age, exp=now + 100), fed.issuer.now)
    assert (fed.core.known_head == (1, 9)) == believed


def test_a_grant_is_held_to_its_end_and_no_longer() -> None:
    fed = Fed()
    token = fed.genuine()
    for end, allowed in ((token.claims.exp, True), (token.claims.exp + 1, False)):
        fed.issuer.clock.advance(end - fed.issuer.now)
        fed.beat()
        assert fed.core.allows(token, "orders:read") == allowed


def test_a_revocation_is_kept_as_much_longer_as_the_root_document_says() -> None:
    late = 3_600
    fed = Fed(FakeIssuer(limits=Limits(late=late)))
    token = fed.genuine(jti="t")
    fed.take(fed.issuer.revoke_token("t", fed.issuer.now + 50))
    fed.issuer.clock.advance(50 + CLOCK_TOLERANCE + late)
    fed.beat()
    assert fed.core.state is not None
    assert token.number in fed.core.state.denied


@pytest.mark.parametrize(("over", "kept"), [(0, 1), (1, 0)])
def test_a_revocation_that_comes_after_its_tokens_end_is_kept_only_if_that_end_is_not_forgotten(
    over: int, kept: int
) -> None:
    fed = Fed()
    fed.take(fed.issuer.revoke_tokens(("t", fed.issuer.now - CLOCK_TOLERANCE - over)))
    assert fed.core.state is not None
    assert len(fed.core.state.denied) == kept


def test_a_single_revocation_is_kept_as_long_as_any_token_lives_whatever_end_it_names() -> None:
    fed = Fed()
    token = fed.genuine(jti="t")
    fed.take(fed.issuer.revoke_token("t", fed.issuer.now - 3_600))  # made up by a clock that is an hour behind
    fed.issuer.clock.advance(token.claims.exp - fed.issuer.now)
    fed.beat()
    with pytest.raises(Revoked):
        fed.core.check_revocation(token)
    fed.issuer.clock.advance(1_000)
    fed.beat()
    assert fed.core.state is not None
    assert len(fed.core.state.denied) == 0


def test_whoever_is_cut_off_is_named() -> None:
    for cut, said in (
        (FakeIssuer.cut_everyone, "^every older token is cut off$"),
        (lambda issuer: issuer.cut_subject("alice"), "^the subject is cut off$"),
        (lambda issuer: issuer.cut_client("web"), "^the client is cut off$"),
        (lambda issuer: issuer.cut_session("alice", "s"), "^the session is cut off$"),
    ):
        fed = Fed()
        token = fed.genuine(sid="s")
        fed.take(cut(fed.issuer))
        with pytest.raises(Revoked, match=said):
            fed.core.check_revocation(token)


def test_before_a_root_document_there_is_no_version_and_a_reason_why_nothing_is_decided() -> None:
    fed = Fed(opened=False)
    assert fed.core.root_version == 0
    said = fed.core.why_not_ready(fed.issuer.clock.now())
    assert said == "no record of the feed leads back to the trust anchor yet"


def test_what_is_skipped_is_counted() -> None:
    fed = Fed()
    issuer = fed.issuer
    foreign = {"format": "iss_sub", "iss": "https://other", "sub": "x"}
    session = {"format": "opaque", "id": "s"}
    cutoff = {SessionRevoked.uri: {"event_timestamp": issuer.now}}
    for raw in (
        issuer.payload({"urn:new": {}}),
        issuer.payload({"urn:newer": {}}),
        issuer.payload(cutoff, sub_id=foreign),
        issuer.payload(cutoff, sub_id={"format": "complex", "user": foreign, "session": session}),
    ):
        here = {"seq": len(issuer.records) + 1, "prev": base64url.encode(issuer.head.hash).decode()}
        fed.take(issuer.append(issuer.sign_payload({**raw, "feed": {"epoch": 1, **here}})))
    assert fed.core.state is not None
    assert (fed.core.state.skipped, fed.core.head, fed.alarms) == (4, issuer.head, set())
    assert fed.core.counters["skipped"] == 4
    assert fed.core.state.weight == 0


def test_of_what_is_too_far_ahead_the_furthest_is_known_to_exist() -> None:
    fed = Fed()
    for seq in (5_000, 9_000, 7_000):
        fed.take(fed.issuer.sign(IssuerCutoff(), seq=seq, prev=bytes(32)))
    assert fed.core.known_head == (1, 9_000)


@pytest.mark.parametrize(("more", "believed"), [(0, True), (1, False)])
def test_an_issuer_whose_clock_is_behind_revokes_for_as_long_as_its_tokens_live_here(more: int, believed: bool) -> None:
    issuer = FakeIssuer()
    core = TrustCore(issuer.anchor)
    longest = issuer.limits.token_lifetime + CLOCK_TOLERANCE + issuer.limits.late
    here = Instant(issuer.now + ISSUER_CLOCK_ERROR_MAX + longest + more, 1_000)
    for raw in (*issuer.open(), issuer.cut_subject("alice")):
        assert core.receive(raw, here).outcome is Outcome.APPLIED
    assert core.state is not None
    ((_, _, expires),) = core.state.cutoffs.kept()
    assert expires == longest + (here.wall if believed else issuer.now)


def test_a_token_is_decided_on_until_the_signed_time_passes_its_end() -> None:
    fed = Fed()
    token = fed.genuine(exp=fed.issuer.now + 5)
    earlier = fed.issuer.now
    fed.issuer.clock.advance(5)
    fed.beat()
    fed.core.check_times(token, earlier)
    fed.issuer.clock.advance(1)
    fed.beat()
    with pytest.raises(Stale, match="forgotten"):
        fed.core.check_times(token, earlier)
