from typing import Any

import pytest

from ostraka_schemas.errors import MalformedError
from ostraka_schemas.events import CAEP, EVENTS, OAUTH, OURS, Event, UnknownEvent, read_event
from ostraka_schemas.limits import SEQ_MAX, TEXT_MAX_CHARS, TOKEN_KEYS_MAX, TOKENS_PER_RECORD_MAX
from ostraka_schemas.subjects import Complex, IssSub, JwtId, Opaque, SubjectIdentifier, Uri
from tests.schemas.keys import signing_key

ISSUER = Uri(uri="https://id.example")
USER = IssSub(iss="https://id.example", sub="alice")
TOKEN = JwtId(iss="https://id.example", jti="t-1")
SESSION = Complex(user=USER, session=Opaque(id="s-1"))
CLIENT = Complex(application=Opaque(id="web"))
SUBJECTS: list[SubjectIdentifier] = [ISSUER, USER, TOKEN, SESSION, CLIENT, Opaque(id="x")]

SESSION_REVOKED, CLAIMS_CHANGE = CAEP + "session-revoked", CAEP + "token-claims-change"
TOKEN_REVOKED, TOKENS_REVOKED = OAUTH + "token-revoked", OURS + "tokens-revoked"
PERMISSION_REVOKED, CUTOFF, KEY_SET, ROOT = (
    OURS + name for name in ("permission-revoked", "issuer-cutoff", "key-set", "root")
)


def entry(number: int = 0, **changes: Any) -> dict[str, Any]:
    key = signing_key("ES256", number)
    good = {"jwk": key.public.to_jwk(), "alg": "ES256", "state": "active", "nbf": 10, "exp": 20}
    return {**good, "max_token_lifetime": 300, **changes}


GOOD: list[tuple[str, SubjectIdentifier, dict[str, Any]]] = [
    (SESSION_REVOKED, USER, {"event_timestamp": 1}),
    (SESSION_REVOKED, SESSION, {"event_timestamp": 1, "initiating_entity": "policy", "reason_admin": {"en": "left"}}),
    (SESSION_REVOKED, CLIENT, {"event_timestamp": 0, "reason_user": {"de": "Tschüß", "en": "bye"}}),
    (CLAIMS_CHANGE, USER, {"claims": {"permissions": []}}),
    (CLAIMS_CHANGE, CLIENT, {"claims": {"permissions": ["orders:*"]}, "event_timestamp": 5}),
    (TOKEN_REVOKED, TOKEN, {"exp": 1}),
    (TOKENS_REVOKED, ISSUER, {"tokens": [["t-1", 0], ["t-2", SEQ_MAX]]}),
    (TOKENS_REVOKED, ISSUER, {"tokens": [["t", 1]] * TOKENS_PER_RECORD_MAX}),
    (PERMISSION_REVOKED, ISSUER, {"permission": "*:*"}),
    (CUTOFF, ISSUER, {}),
    (CUTOFF, ISSUER, {"must_understand": True}),
    (CUTOFF, ISSUER, {"new_member": 1}),
    (CUTOFF, ISSUER, {"new_member": 1, "must_understand": False}),
    (KEY_SET, ISSUER, {"keys": [entry()]}),
    (KEY_SET, ISSUER, {"keys": [entry(n) for n in range(TOKEN_KEYS_MAX)]}),
    (ROOT, ISSUER, {"payload": "e30", "signatures": [{"protected": "e30", "signature": "AA"}]}),
]

SESSIONLESS = {"event_timestamp": 1}
NO_CLAIMS: list[Any] = [None, {}, [], {"permissions": None}, {"permissions": "a:b"}]
NO_TOKENS: list[Any] = [[], None, "x", {}, ["t"], [["t"]], [["t", 1, 2]], [[1, "t"]]]
NO_TRUTH: list[Any] = [1, 0, "true", None, []]
NO_KEYS: list[Any] = [[], None, {}, ["k"], [{}]]
NO_TIMES: list[Any] = [(20, 10), (10, 10), (-1, 5), (1.0, 5), (1, True)]
BROKEN: list[tuple[str, SubjectIdentifier, dict[str, Any]]] = [
    (SESSION_REVOKED, USER, {}),
    *((SESSION_REVOKED, USER, {"event_timestamp": time}) for time in (True, 1.0, "1", -1, SEQ_MAX + 1, None)),
    (SESSION_REVOKED, USER, {**SESSIONLESS, "initiating_entity": "god"}),
    *((SESSION_REVOKED, USER, {**SESSIONLESS, "reason_admin": r}) for r in ("x", {"e": "x"}, {"en": 1}, ["en"])),
    (SESSION_REVOKED, USER, {**SESSIONLESS, "reason_admin": {"en": "x" * (TEXT_MAX_CHARS + 1)}}),
    *((SESSION_REVOKED, subject, SESSIONLESS) for subject in (ISSUER, TOKEN, Opaque(id="x"))),
    (SESSION_REVOKED, Complex(), SESSIONLESS),
    (SESSION_REVOKED, Complex(user=USER), SESSIONLESS),
    (SESSION_REVOKED, Complex(session=Opaque(id="s")), SESSIONLESS),
    (SESSION_REVOKED, Complex(user=USER, application=Opaque(id="c")), SESSIONLESS),
    (SESSION_REVOKED, Complex(user=USER, session=Opaque(id="s"), application=Opaque(id="c")), SESSIONLESS),
    *((CLAIMS_CHANGE, USER, {"claims": c}) for c in NO_CLAIMS),
    *((CLAIMS_CHANGE, USER, {"claims": {"permissions": p}}) for p in (["a"], [1], {"a:b": 1}, ["a:b"] * 257)),
    (CLAIMS_CHANGE, TOKEN, {"claims": {"permissions": []}}),
    *((TOKEN_REVOKED, TOKEN, members) for members in ({}, {"exp": None}, {"exp": "1"}, {"exp": True}, {"exp": 1.5})),
    *((TOKEN_REVOKED, subject, {"exp": 1}) for subject in (ISSUER, USER, SESSION)),
    *((TOKENS_REVOKED, ISSUER, {"tokens": t}) for t in NO_TOKENS),
    *((TOKENS_REVOKED, ISSUER, {"tokens": [["t", exp]]}) for exp in (True, 1.0, "1", -1, SEQ_MAX + 1, None)),
    (TOKENS_REVOKED, ISSUER, {"tokens": [["", 1]]}),
    (TOKENS_REVOKED, ISSUER, {"tokens": [["t" * 256, 1]]}),
    (TOKENS_REVOKED, ISSUER, {"tokens": [["t", 1]] * (TOKENS_PER_RECORD_MAX + 1)}),
    *((PERMISSION_REVOKED, ISSUER, {"permission": p}) for p in (None, "", "a", "a:b:c", 1, ["a:b"], "a:b\n")),
    (PERMISSION_REVOKED, USER, {"permission": "a:b"}),
    (CUTOFF, USER, {}),
    (CUTOFF, CLIENT, {}),
    *((CUTOFF, ISSUER, {"must_understand": value}) for value in NO_TRUTH),
    *((KEY_SET, ISSUER, {"keys": keys}) for keys in NO_KEYS),
    (KEY_SET, ISSUER, {"keys": [entry(n) for n in range(TOKEN_KEYS_MAX + 1)]}),
    (KEY_SET, ISSUER, {"keys": [entry(), entry()]}),
    (KEY_SET, ISSUER, {"keys": [entry(), entry(jwk={**entry()["jwk"], "kid": "other"})]}),
    (KEY_SET, ISSUER, {"keys": [entry(), entry(1, jwk={**entry(1)["jwk"], "kid": entry()["jwk"]["kid"]})]}),
    *((KEY_SET, ISSUER, {"keys": [entry(alg=alg)]}) for alg in ("EdDSA", "HS256", "none", None, 1)),
    *((KEY_SET, ISSUER, {"keys": [entry(state=state)]}) for state in ("Active", "revoked", None, 1)),
    *(
        (KEY_SET, ISSUER, {"keys": [entry(nbf=n, exp=e)]})
        for n, e in ((20, 10), (10, 10), (-1, 5), (1.0, 5), (1, True))
    ),
    *((KEY_SET, ISSUER, {"keys": [entry(max_token_lifetime=t)]}) for t in (0, -1, True, 1.5, "300", None)),
    (KEY_SET, ISSUER, {"keys": [entry(jwk={"kty": "oct", "k": "AAAA"})]}),
    (KEY_SET, ISSUER, {"keys": [entry(jwk={**entry()["jwk"], "d": "AAAA"})]}),
    (KEY_SET, ISSUER, {"keys": [entry(jwk={**entry()["jwk"], "x": "A" * 2_000})]}),
    (KEY_SET, USER, {"keys": [entry()]}),
    (ROOT, ISSUER, {}),
    (ROOT, ISSUER, {"payload": 1, "signatures": []}),
    (ROOT, ISSUER, {"payload": "e30", "signatures": [{"protected": 1}]}),
    (ROOT, TOKEN, {"payload": "e30", "signatures": []}),
]


@pytest.mark.parametrize(("uri", "subject", "members"), GOOD, ids=range(len(GOOD)))
def test_reads(uri: str, subject: SubjectIdentifier, members: dict[str, Any]) -> None:
    event = read_event(uri, members, subject)
    assert isinstance(event, Event)
    assert type(event) is EVENTS[uri]
    assert read_event(uri, event.model_dump(mode="json", exclude_none=True), subject) == event


@pytest.mark.parametrize(("uri", "subject", "members"), BROKEN, ids=range(len(BROKEN)))
def test_a_known_kind_that_breaks_its_rules_is_never_skipped(
    uri: str, subject: SubjectIdentifier, members: dict[str, Any]
) -> None:
    with pytest.raises(MalformedError) as refusal:
        read_event(uri, members, subject)
    assert len(str(refusal.value)) < 1_000


def test_every_kind_is_tried_good_and_broken() -> None:
    assert {uri for uri, _, _ in GOOD} == {uri for uri, _, _ in BROKEN} == set(EVENTS)


def test_the_uris_are_those_of_the_design() -> None:
    assert set(EVENTS) == {
        "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
        "https://schemas.openid.net/secevent/caep/event-type/token-claims-change",
        "https://schemas.openid.net/secevent/oauth/event-type/token-revoked",
        "urn:ostraka:event:tokens-revoked",
        "urn:ostraka:event:permission-revoked",
        "urn:ostraka:event:issuer-cutoff",
        "urn:ostraka:event:key-set",
        "urn:ostraka:event:root",
    }


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.format)
@pytest.mark.parametrize("must", [None, False, True])
def test_an_unknown_kind_is_handed_on_whatever_it_is_about(subject: SubjectIdentifier, must: bool | None) -> None:
    members: dict[str, Any] = {"anything": [1, {"deep": None}]}
    if must is not None:
        members["must_understand"] = must
    event = read_event("urn:example:new", members, subject)
    assert event == UnknownEvent(uri="urn:example:new", must_understand=bool(must))


@pytest.mark.parametrize("members", [{"new_member": 1}, {"reason_admin": {"en": "x"}, "exp": 1}])
def test_a_known_kind_with_unknown_members_that_must_be_understood_is_not_guessed_at(members: dict[str, Any]) -> None:
    event = read_event(CUTOFF, {**members, "must_understand": True}, ISSUER)
    assert event == UnknownEvent(uri=CUTOFF, must_understand=True)


def test_a_very_long_uri_is_cut() -> None:
    event = read_event("u" * 60_000, {}, ISSUER)
    assert isinstance(event, UnknownEvent)
    assert len(event.uri) == 255
