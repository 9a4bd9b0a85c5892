"""Rules of RFC 7523 §3, without database."""

from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostraka_issuer.limits import ASSERTION_LIFETIME_MAX
from ostraka_issuer.oauth.assertions import client_of, verify
from ostraka_issuer.oauth.errors import InvalidClient
from ostraka_schemas.jwk import SigningKey

NOW = 1_800_000_000
ISSUER, DOOR = "https://id.example", "https://id.example/token"
KEYS = {alg: SigningKey.generate(alg) for alg in ("ES256", "EdDSA", "RS256")}
KEY = KEYS["ES256"]
GOOD = {"iss": "relay", "sub": "relay", "aud": ISSUER, "exp": NOW + 60, "jti": "once"}


def make(claims: dict[str, Any] | None = None, key: SigningKey = KEY, headers: dict[str, Any] | None = None) -> str:
    return jwt.encode({**GOOD, **(claims or {})}, key.private, algorithm=key.alg, headers=headers)


def check(raw: str, keys: tuple[SigningKey, ...] = tuple(KEYS.values())) -> Any:
    return verify(raw, [key.public for key in keys], client_id="relay", audiences={ISSUER, DOOR}, now=float(NOW))


@pytest.mark.parametrize("key", KEYS.values(), ids=list(KEYS))
@pytest.mark.parametrize("headers", [None, "kid", {"typ": "client-authentication+jwt"}, {"typ": None}])
def test_a_good_one(key: SigningKey, headers: Any) -> None:
    assertion = check(make(key=key, headers={"kid": key.kid} if headers == "kid" else headers))
    assert (assertion.jti, assertion.exp, assertion.jkt) == ("once", NOW + 60, key.public.thumbprint)


@pytest.mark.parametrize("aud", [ISSUER, DOOR, [ISSUER], [DOOR]])
def test_it_is_for_this_issuer_or_its_token_endpoint(aud: Any) -> None:
    check(make({"aud": aud}))


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "other"},
        {"sub": "other"},
        {"iss": None},
        {"sub": None},
        {"aud": "https://other.example"},
        {"aud": [ISSUER, "https://other.example"]},
        {"aud": []},
        {"aud": None},
        {"aud": ISSUER + "/"},
        {"exp": None},
        {"exp": NOW},
        {"exp": NOW + ASSERTION_LIFETIME_MAX + 11},
        {"exp": float(NOW + 60)},
        {"exp": str(NOW + 60)},
        {"exp": True},
        {"exp": 2**60},
        {"iat": NOW + 11},
        {"nbf": NOW + 11},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 256},
        {"jti": 7},
    ],
    ids=str,
)
def test_claims_that_break_a_rule(claims: dict[str, Any]) -> None:
    kept = {name: value for name, value in {**GOOD, **claims}.items() if value is not None}
    with pytest.raises(InvalidClient):
        check(jwt.encode(kept, KEY.private, algorithm=KEY.alg))


@pytest.mark.parametrize(
    "headers",
    [
        {"typ": "at+jwt"},
        {"typ": "secevent+jwt"},
        {"kid": "another"},
        {"kid": "../../key"},
        {"jku": "https://thief.example"},
        {"jwk": KEY.public.to_jwk()},
        {"x5c": []},
        {"zip": "DEF"},
    ],
    ids=" ".join,
)
def test_headers_that_break_a_rule(headers: dict[str, Any]) -> None:
    with pytest.raises(InvalidClient):
        check(make(headers=headers))


def test_only_registered_keys_sign_each_with_its_own_algorithm() -> None:
    with pytest.raises(InvalidClient):
        check(make(key=SigningKey.generate("ES256")))
    with pytest.raises(InvalidClient):
        check(make(), keys=(KEYS["EdDSA"],))
    for claims in ({}, {"iss": "relay"}):
        with pytest.raises(InvalidClient):
            check(jwt.encode({**GOOD, **claims}, "x" * 64, algorithm="HS512"))
        with pytest.raises(InvalidClient):
            check(jwt.encode({**GOOD, **claims}, "", algorithm="none"))


def test_one_spelling_only() -> None:
    raw = make()
    head, body, signature = raw.split(".")
    for bad in (raw + "=", raw + " ", f"{head}.{body}", f"{head}.{body}.{signature}.x", f"{head}.{body}.", "." * 2, ""):
        with pytest.raises(InvalidClient):
            check(bad)
    with pytest.raises(InvalidClient):
        check(make({"pad": "x" * 8_192}))


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{1,80}(\.[A-Za-z0-9_-]{1,80}){2}", fullmatch=True))
def test_nothing_but_our_error_comes_out(raw: str) -> None:
    for question in (client_of, check):
        with pytest.raises(InvalidClient):
            question(raw)
