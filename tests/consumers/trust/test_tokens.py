"""Steps 1 to 4 of a decision. What is malformed is in tests/corpora."""

from typing import Any

import pytest

from ostraka_consumers.errors import (
    BadSignature,
    KeyCompromised,
    Malformed,
    UnknownKey,
    VerificationError,
    WrongAudience,
    WrongIssuer,
)
from ostraka_consumers.limits import HEADER_CACHE_MAX
from ostraka_consumers.trust.tokens import TokenReader
from ostraka_schemas import jws
from ostraka_schemas.events import KeyState
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.limits import TOKEN_MAX_BYTES
from ostraka_schemas.root import Limits
from tests.consumers.trust.feed import Fed
from tests.support.fake_issuer import FakeIssuer, published
from tests.support.forging import forge


def test_what_later_steps_ask_for_is_worked_out() -> None:
    token = Fed().genuine(jti="A" * 22, sid="s", fv=[1, 2])
    assert (token.number, token.minted.fv) == (0, (1, 2))
    assert token.holders == (("issuer", ""), ("client", "web"), ("subject", "alice"), ("session", "s"))
    assert len(Fed().genuine(sid=None).holders) == 3


def test_every_client_that_had_a_hand_in_it_is_a_holder() -> None:
    act = {"sub": "b", "client_id": "b", "act": {"sub": "c", "act": {"sub": "d", "client_id": "d"}}}
    holders = Fed().genuine(sid=None, act=act).holders
    assert holders[3:] == (("client", "b"), ("client", "d"))


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("pre-activation", None),
        ("active", None),
        ("deactivated", None),
        ("compromised", KeyCompromised),
        ("destroyed", UnknownKey),
    ],
)
def test_the_state_of_the_key_decides(state: KeyState, error: type[VerificationError] | None) -> None:
    fed = Fed()
    fed.take(fed.issuer.publish_keys(published(fed.issuer.token_key, now=fed.issuer.now, state=state)))
    if error is None:
        assert fed.genuine().claims.sub == "alice"
    else:
        with pytest.raises(error):
            fed.genuine()


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"iss": "https://other"}, WrongIssuer),
        ({"iss": "https://id.example/"}, WrongIssuer),
        ({"iss": "HTTPS://ID.EXAMPLE"}, WrongIssuer),
        ({"aud": "billing"}, WrongAudience),
        ({"aud": ["billing", "Orders"]}, WrongAudience),
        ({"aud": ["orders "]}, WrongAudience),
        ({"aud": ["billing", "orders"]}, None),
        ({"aud": "orders"}, None),
    ],
)
def test_issuer_and_audience_are_compared_letter_by_letter(
    claims: dict[str, Any], error: type[VerificationError] | None
) -> None:
    fed = Fed()
    if error is None:
        fed.genuine(**claims)
    else:
        with pytest.raises(error):
            fed.genuine(**claims)


@pytest.mark.parametrize(
    ("iat", "exp", "error"),
    [
        (0, 300, None),
        (0, 1, None),
        (0, 301, Malformed),
        (0, 0, Malformed),
        (10, 0, Malformed),
        (-70, 200, None),
        (-71, 200, UnknownKey),
        (30 * 24 * 3600 - 160, 30 * 24 * 3600 - 60, None),
        (30 * 24 * 3600 - 159, 30 * 24 * 3600 - 59, UnknownKey),
    ],
)
def test_a_key_signs_only_for_its_time_and_no_longer_lifetime(
    iat: int, exp: int, error: type[VerificationError] | None
) -> None:
    fed = Fed()
    times = {"iat": fed.issuer.now + iat, "exp": fed.issuer.now + exp}
    if error is None:
        fed.genuine(**times)
    else:
        with pytest.raises(error):
            fed.genuine(**times)


def test_a_key_that_is_not_in_the_set_is_unknown_whoever_it_belongs_to() -> None:
    fed = Fed()
    for key in (SigningKey.generate("ES256"), fed.issuer.feed_key, fed.issuer.root_key):
        with pytest.raises(UnknownKey):
            fed.reader.read(fed.issuer.token(key=key), fed.core.keys)


def test_another_keys_signature_under_a_known_name() -> None:
    fed = Fed()
    thief = SigningKey.from_private(SigningKey.generate("ES256").private, "ES256", kid=fed.issuer.token_key.kid)
    with pytest.raises(BadSignature):
        fed.reader.read(fed.issuer.token(key=thief), fed.core.keys)


def test_two_algorithms_side_by_side_do_not_mix() -> None:
    fed = Fed(FakeIssuer(limits=Limits(token_algorithms=["ES256", "EdDSA", "PS256"])))
    others = [SigningKey.generate("EdDSA"), SigningKey.generate("PS256")]
    keys = [fed.issuer.token_key, *others]
    fed.take(fed.issuer.publish_keys(*(published(key, now=fed.issuer.now) for key in keys)))
    payload = fed.issuer.claims()
    for named in keys:
        for signer in keys:
            raw = forge({"alg": signer.alg, "kid": named.kid, "typ": "at+jwt"}, payload, signer.sign)
            if named is signer:
                fed.reader.read(raw, fed.core.keys)
            else:
                with pytest.raises(BadSignature):
                    fed.reader.read(raw, fed.core.keys)


def test_headers_are_kept_only_of_tokens_that_were_signed_and_only_so_many() -> None:
    fed = Fed()
    reader = TokenReader(fed.issuer.issuer, frozenset({"orders"}))
    key, payload = fed.issuer.token_key, fed.issuer.claims()

    def spelled(spaces: int) -> bytes:
        return b'{"alg":"ES256",%b"kid":"%b","typ":"at+jwt"}' % (b" " * spaces, key.kid.encode())

    for spaces in range(5):
        with pytest.raises(BadSignature):
            reader.read(forge(spelled(spaces), payload), fed.core.keys)
    assert reader._headers == {}
    for spaces in range(HEADER_CACHE_MAX + 5):
        reader.read(forge(spelled(spaces), payload, key.sign), fed.core.keys)
    assert len(reader._headers) == HEADER_CACHE_MAX


def test_text_and_bytes_are_the_same_token() -> None:
    fed = Fed()
    token = fed.issuer.token()
    assert fed.reader.read(token, fed.core.keys).claims == fed.reader.read(token.encode(), fed.core.keys).claims


def test_a_header_that_was_read_once_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fed = Fed()
    fed.genuine()

    def read_header(segment: bytes, *, typ: str) -> jws.Header:
        raise AssertionError("read again")

    monkeypatch.setattr(jws, "read_header", read_header)
    assert fed.genuine(sub="bob").claims.sub == "bob"
    monkeypatch.undo()
    with pytest.raises(Malformed):
        fed.reader.read(forge({"alg": "none"}, fed.issuer.claims()), fed.core.keys)


@pytest.mark.parametrize("kind", [str, bytes])
def test_a_token_that_could_answer_differently_each_time_is_none(kind: type) -> None:
    fed = Fed()
    token = fed.issuer.token()
    liar = type("Liar", (kind,), {})(token if kind is str else token.encode())
    with pytest.raises(Malformed, match="text or bytes"):
        fed.reader.read(liar, fed.core.keys)


def test_a_token_may_be_exactly_as_long_as_the_bound() -> None:
    fed = Fed()
    padded = (_signed(fed, {**fed.issuer.claims(), "pad": "x" * more}) for more in range(5_000, TOKEN_MAX_BYTES))
    token = next(token for token in padded if len(token) == TOKEN_MAX_BYTES)
    for same in (token, token.decode()):
        assert fed.reader.read(same, fed.core.keys).claims.sub == "alice"
    longer = next(padded)
    for other in (longer, longer.decode()):
        with pytest.raises(Malformed, match=f"longer than {TOKEN_MAX_BYTES} bytes"):
            fed.reader.read(other, fed.core.keys)


def _signed(fed: Fed, claims: dict[str, Any]) -> bytes:
    key = fed.issuer.token_key
    return forge({"alg": key.alg, "kid": key.kid, "typ": "at+jwt"}, claims, key.sign)


def test_a_refusal_names_the_rule() -> None:
    fed = Fed()
    key = fed.issuer.token_key
    header = {"alg": key.alg, "kid": key.kid, "typ": "at+jwt"}
    good = fed.issuer.token()
    for token, rule in (
        ("a.b", "three base64url segments"),
        (forge({**header, "typ": "JWT"}, {}, key.sign), "typ is not at"),
        (good[:-1] + "B", "not canonical"),
        (forge(header, {}, key.sign), "claims: iss: Field required"),
    ):
        with pytest.raises(Malformed, match=rule):
            fed.reader.read(token, fed.core.keys)
