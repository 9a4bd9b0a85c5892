"""How far what a stranger signed is read, how long things may be, and what need not be verified twice."""

from typing import Any

import pytest

from ostraka_consumers.trust.receipt import Outcome
from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.events import IssuerCutoff, RootPublished
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.limits import MAX_STALENESS, RECORD_MAX_BYTES, SNAPSHOT_PART_MAX_BYTES
from ostraka_schemas.root import root_bytes
from ostraka_schemas.snapshots import SnapshotState
from tests.consumers.trust.feed import Fed
from tests.schemas.keys import signing_key
from tests.support.fake_issuer import YEAR
from tests.support.forging import forge

STRANGER = signing_key("EdDSA", 77)


def signed_by(key: SigningKey, payload: Any) -> bytes:
    return forge({"alg": key.alg, "kid": key.kid, "typ": jws.TYP_EVENT}, payload, key.sign)


def as_long_as(length: int, raw: bytes, key: SigningKey) -> bytes:
    """The same with a member that nobody knows, so that it is so long."""
    payload = strict_json.loads_object(base64url.decode(raw.split(b".")[1]))
    about = (length - len(raw)) * 3 // 4
    made = (signed_by(key, {**payload, "pad": "x" * pad}) for pad in range(max(0, about - 20), about + 4))
    return next(raw for raw in made if len(raw) == length)


@pytest.mark.parametrize("known", [True, False], ids=["after the root", "before it"])
def test_of_a_stranger_nothing_but_the_header_is_read_unless_it_brings_a_root_document(known: bool) -> None:
    fed = Fed(opened=known)
    fed.issuer.open()
    reason = "unknown_key" if known else "no_root_yet"
    uri = RootPublished.uri
    elsewhere = fed.issuer.payload({IssuerCutoff.uri: {"reason_admin": {"en": uri}}})
    beat = {**fed.issuer.payload({"urn:ostraka:event:heartbeat": {}}), "jti": uri}
    beat["feed"] = {"epoch": 1, "seq": 2, "hash": "A" * 43}
    payloads: list[Any] = [b"no JSON", b"{", {"events": {}}, elsewhere, beat]
    for payload in payloads:
        assert fed.take(signed_by(STRANGER, payload))[:2] == (Outcome.REFUSED, reason)
    too_long = as_long_as(RECORD_MAX_BYTES + 1, signed_by(STRANGER, fed.issuer.payload({uri: {}})), STRANGER)
    assert fed.take(too_long)[:2] == (Outcome.REFUSED, reason)


def test_a_record_that_opens_the_feed_may_be_exactly_as_long_as_the_bound() -> None:
    fed = Fed(opened=False)
    opening = fed.issuer.publish_root()
    key = fed.issuer.feed_key
    assert fed.take(as_long_as(RECORD_MAX_BYTES + 1, opening, key))[:2] == (Outcome.REFUSED, "no_root_yet")
    assert fed.take(as_long_as(RECORD_MAX_BYTES, opening, key)).outcome is Outcome.APPLIED


def test_a_record_may_be_exactly_as_long_as_the_bound() -> None:
    fed = Fed()
    raw, key = fed.issuer.cut_subject("a"), fed.issuer.feed_key
    assert fed.take(as_long_as(RECORD_MAX_BYTES + 1, raw, key))[:2] == (Outcome.REFUSED, "malformed")
    assert fed.take(as_long_as(RECORD_MAX_BYTES, raw, key)).outcome is Outcome.APPLIED


def test_so_may_a_part_of_a_snapshot() -> None:
    fed = Fed()
    fed.issuer.cut_subject("a")
    raw, key = fed.issuer.snapshot_part(SnapshotState(latest_iat=fed.issuer.now)), fed.issuer.feed_key
    assert fed.take(as_long_as(SNAPSHOT_PART_MAX_BYTES + 1, raw, key))[:2] == (Outcome.REFUSED, "malformed")
    assert fed.take(as_long_as(SNAPSHOT_PART_MAX_BYTES, raw, key)).outcome is Outcome.SNAPSHOT


def test_the_feed_is_signed_until_the_last_second_of_its_root_document() -> None:
    fed = Fed(opened=False)
    end = fed.issuer.now + 50
    fed.issuer.root = fed.issuer.root.model_copy(update={"exp": end})
    fed.issuer.sign_first_root()
    for raw in fed.issuer.open():
        fed.take(raw)
    fed.issuer.clock.advance(50)
    assert fed.beat().outcome is Outcome.HEARTBEAT
    fed.issuer.clock.advance(1)
    assert fed.beat()[:2] == (Outcome.REFUSED, "feed_key_expired")


def test_what_was_applied_lately_is_not_verified_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fed = Fed()
    fed.take(fed.issuer.cut_subject("a"))

    def check(compact: jws.Compact, header: jws.Header, key: Any) -> None:
        raise AssertionError("verified again")

    monkeypatch.setattr(jws, "check", check)
    for seq, raw in enumerate(fed.issuer.records, start=1):
        assert fed.take(raw)[:4] == (Outcome.DUPLICATE, None, (), (1, seq))


# --- root documents that wait ---


def test_a_document_that_waits_lets_its_keys_sign_when_the_time_of_the_one_in_force_is_over() -> None:
    fed = Fed()
    issuer = fed.issuer
    issuer.clock.advance(YEAR + 1)
    record = issuer.cut_subject("a")
    assert fed.take(record)[:2] == (Outcome.REFUSED, "feed_key_expired")
    feed = {**issuer.root.feed.model_dump(), "exp": issuer.now + YEAR}
    later = root_bytes(issuer.next_root(exp=issuer.now + YEAR, feed=feed))
    assert fed.take(later).outcome is Outcome.ROOT
    assert fed.take(record).outcome is Outcome.APPLIED
    assert fed.take(later)[:2] == (Outcome.DUPLICATE, "older_root")


def test_of_documents_that_wait_the_later_ones_go_on_waiting_when_one_comes_into_force() -> None:
    fed = Fed()
    issuer = fed.issuer
    alone: list[bytes] = []
    records: list[bytes] = []
    for _ in range(3):
        value = issuer.next_root()
        records += issuer.adopt_root(value)
        alone.append(root_bytes(value))
    for raw in alone:
        assert fed.take(raw).outcome is Outcome.ROOT
    for raw in records:
        assert fed.take(raw).outcome is Outcome.APPLIED
        for known in alone:
            assert fed.take(known)[:2] == (Outcome.DUPLICATE, "older_root")
    assert fed.alarms == set()


def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostraka_consumers.trust.roots.ROOT_VERSIONS_MAX", 2)
    fed = Fed()
    outcomes = []
    for _ in range(3):
        value = fed.issuer.next_root()
        fed.issuer.adopt_root(value)
        outcomes.append(fed.take(root_bytes(value))[:2])
    assert outcomes == [(Outcome.ROOT, None), (Outcome.ROOT, None), (Outcome.REFUSED, "too_many_roots")]


def test_evidence_outlives_the_epoch() -> None:
    fed = Fed()
    fed.take(fed.issuer.sign(IssuerCutoff(), seq=2, prev=bytes(32)))
    before = fed.core.evidence
    assert len(before) == 1
    for raw in fed.issuer.adopt_root(fed.issuer.next_root(epoch=2)):
        fed.take(raw)
    assert (fed.core.head, fed.core.evidence) == (fed.issuer.head, before)


def test_a_new_epoch_leaves_nothing_waiting_that_came_before_it() -> None:
    fed = Fed()
    issuer = fed.issuer
    for _ in range(2):
        value = issuer.next_root()
        issuer.adopt_root(value)
        assert fed.take(root_bytes(value)).outcome is Outcome.ROOT
    behind = [fed.core.behind]
    for raw in issuer.adopt_root(issuer.next_root(epoch=2)):
        assert fed.take(raw).outcome is Outcome.APPLIED
        behind.append(fed.core.behind)
    assert behind == [True, False, False]
    assert fed.take(root_bytes(issuer.next_root())).outcome is Outcome.ROOT


@pytest.mark.parametrize(("waited", "taken"), [(MAX_STALENESS, True), (MAX_STALENESS + 1, False)])
def test_keys_that_a_waiting_document_retires_sign_as_long_as_news_may_take(waited: int, taken: bool) -> None:
    fed = Fed()
    issuer, old = fed.issuer, fed.issuer.feed_key
    key = signing_key("EdDSA", 51)
    record = issuer.cut_subject("a")
    feed = {"keys": [key.public.to_jwk()], "exp": issuer.root.feed.exp}
    assert fed.take(root_bytes(issuer.next_root(feed=feed))).outcome is Outcome.ROOT
    issuer.clock.advance(waited)
    assert (fed.take(record).outcome is Outcome.APPLIED) == taken
    assert fed.beat(key=key).outcome is Outcome.HEARTBEAT
    assert (fed.beat(key=old, iat=issuer.now + 1).outcome is Outcome.HEARTBEAT) == taken
