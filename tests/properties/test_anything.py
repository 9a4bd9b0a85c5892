"""Arbitrary input, and arbitrary input that is properly signed: nothing foreign is raised, nothing gets stuck."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ostraka_consumers import VerificationError
from ostraka_consumers.explain import explain
from ostraka_consumers.trust.receipt import Outcome
from ostraka_schemas import strict_json
from ostraka_schemas.events import EVENTS, OURS
from ostraka_schemas.limits import RECORD_MAX_BYTES, SEQ_MAX
from tests.properties.feeds import hand_fed, new_issuer
from tests.support.fingerprint import state_fingerprint
from tests.support.forging import forge

ISSUER = new_issuer()
ISSUER.open()
VERIFIER = hand_fed(ISSUER, *ISSUER.records, ISSUER.heartbeat())
GOOD = ISSUER.token()

NUMBERS = (
    st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0, SEQ_MAX])
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
MEMBERS = st.sampled_from(
    [
        "exp",
        "tokens",
        "permission",
        "keys",
        "claims",
        "event_timestamp",
        "must_understand",
        "reason_admin",
        "payload",
        "signatures",
    ]
)
SUB_IDS = st.fixed_dictionaries(
    {"format": st.sampled_from(["iss_sub", "opaque", "uri", "jwt_id", "complex"])},
    optional={
        **{name: JSON | st.just(ISSUER.issuer) for name in ("iss", "sub", "jti", "uri", "id")},
        **dict.fromkeys(("user", "session", "application"), JSON),
    },
)
SEGMENT = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=", max_size=60)


@given(st.text() | st.binary() | st.tuples(SEGMENT, SEGMENT, SEGMENT).map(".".join) | JSON)
@example("\ud800")
@example(GOOD[:-1])
def test_verify_raises_only_what_it_says(token: Any) -> None:
    before = state_fingerprint(VERIFIER)
    with pytest.raises(VerificationError) as refusal:
        VERIFIER.verify(token)
    assert type(explain(VERIFIER, token).error) is refusal.type
    assert state_fingerprint(VERIFIER) == before


@given(st.data())
def test_a_good_token_altered_is_no_token(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD)))
    cut = data.draw(st.integers(at, len(GOOD)))
    put = data.draw(st.text(max_size=5) | SEGMENT)
    altered = GOOD[:at] + put + GOOD[cut:]
    if altered != GOOD:
        with pytest.raises(VerificationError):
            VERIFIER.verify(altered)


@given(st.dictionaries(st.sampled_from(list(ISSUER.claims())), JSON, max_size=4), JSON)
def test_a_signed_token_of_any_content_raises_only_what_it_says(changes: dict[str, Any], whole: Any) -> None:
    key = ISSUER.token_key
    header = {"alg": key.alg, "kid": key.kid, "typ": "at+jwt"}
    for content in ({**ISSUER.claims(), **changes}, whole):
        token = forge(header, strict_json.dumps(content), key.sign)
        try:
            VERIFIER.verify(token)
        except VerificationError:
            continue
        assert isinstance(content, dict)


@given(
    st.binary(max_size=200) | st.tuples(SEGMENT, SEGMENT, SEGMENT).map(lambda parts: ".".join(parts).encode()) | JSON
)
def test_deliver_takes_anything_and_nothing_changes(raw: Any) -> None:
    before = state_fingerprint(VERIFIER)
    assert VERIFIER.deliver(raw).outcome is Outcome.REFUSED
    assert state_fingerprint(VERIFIER) == before


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*EVENTS, OURS + "snapshot", "urn:new"]) | TEXTS,
            st.dictionaries(MEMBERS | TEXTS, JSON, max_size=4),
            st.none() | SUB_IDS,
            st.integers(0, SEQ_MAX),
        ),
        max_size=6,
    )
)
def test_a_signed_record_of_any_content_keeps_its_place_and_stops_nothing(
    said: list[tuple[str, dict[str, Any], dict[str, Any] | None, int]],
) -> None:
    issuer = new_issuer()
    verifier = hand_fed(issuer, *issuer.open(), issuer.heartbeat())
    for uri, members, sub_id, iat in said:
        raw = issuer.sign_payload(issuer.payload({uri: members}, sub_id=sub_id, iat=iat))
        receipt = verifier.deliver(raw)
        if receipt.outcome is Outcome.APPLIED:
            issuer.append(raw)
        else:
            assert receipt[:3] == (Outcome.REFUSED, "malformed", ())
        assert len(raw) <= RECORD_MAX_BYTES
        assert verifier.core.head == issuer.head
    assert verifier.deliver(issuer.cut_everyone()).outcome is Outcome.APPLIED
    with pytest.raises(VerificationError):
        verifier.verify(issuer.token(fv=[1, 2]))
