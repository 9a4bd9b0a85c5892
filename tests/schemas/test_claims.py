from typing import Any

import pytest

from ostraka_schemas import strict_json
from ostraka_schemas.claims import read_claims
from ostraka_schemas.errors import MalformedError
from ostraka_schemas.limits import AUDIENCES_MAX, ID_MAX_CHARS, PERMISSIONS_MAX, SEQ_MAX

GOOD: dict[str, Any] = {
    "iss": "https://id.example",
    "sub": "alice",
    "aud": ["orders", "billing"],
    "client_id": "web",
    "iat": 1_800_000_000,
    "nbf": 1_800_000_000,
    "exp": 1_800_000_300,
    "jti": "t-1",
    "sid": "s-1",
    "permissions": ["orders:create", "reports:*"],
    "auth_time": 1_800_000_000,
    "cnf": {"jkt": "A" * 43},
    "act": {"sub": "bob"},
    "fv": [1, 0],
}
REQUIRED = ("iss", "sub", "aud", "client_id", "iat", "exp", "jti")
TEXTS = ("iss", "sub", "client_id", "jti", "sid")
TIMES = ("iat", "nbf", "exp", "auth_time")
HUGE = 10**400


def test_reads_every_claim() -> None:
    claims = read_claims(GOOD)
    assert claims.audiences == ("orders", "billing")
    assert claims.fv == (1, 0)
    assert claims.cnf is not None
    assert claims.act is not None
    assert claims.act.sub == "bob"
    assert read_claims({**GOOD, "aud": "orders"}).audiences == ("orders",)


def test_foreign_claims_are_ignored() -> None:
    assert read_claims({**GOOD, "email": "a@b", "x" * 5_000: {"deep": [1]}}) == read_claims(GOOD)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_claim_is_required(name: str) -> None:
    for claims in ({n: v for n, v in GOOD.items() if n != name}, {**GOOD, name: None}):
        with pytest.raises(MalformedError, match=rf"^claims: {name}"):
            read_claims(claims)


@pytest.mark.parametrize("name", sorted(GOOD.keys() - set(REQUIRED) - {"permissions"}))
def test_an_optional_claim_may_be_missing(name: str) -> None:
    assert getattr(read_claims({n: v for n, v in GOOD.items() if n != name}), name) is None


def test_no_permissions_are_no_permissions() -> None:
    assert read_claims({n: v for n, v in GOOD.items() if n != "permissions"}).permissions == []


WRONG: dict[str, list[Any]] = {
    **{name: ["", 1, True, 1.5, ["a"], {"a": 1}, b"alice", "a" * (ID_MAX_CHARS + 1), "a" * 10**6] for name in TEXTS},
    **{name: [True, False, 1.0, "1800000000", -1, SEQ_MAX + 1, HUGE, 1e30, [1], {}, "NaN"] for name in TIMES},
    "aud": ["", [], [""], 1, True, {"orders": 1}, [1], [None], [["orders"]], ["a"] * (AUDIENCES_MAX + 1)],
    "permissions": [
        "orders:create",
        [1],
        [""],
        ["orders"],
        ["a:b:c"],
        {"a": 1},
        ["a:b"] * (PERMISSIONS_MAX + 1),
        1,
        None,
    ],
    "cnf": [{}, {"jkt": 1}, {"jkt": "A" * 42}, {"jkt": "A" * 43 + "\n"}, {"jwk": {}}, "A" * 43, 1, []],
    "act": [{}, {"sub": ""}, {"sub": 1}, "bob", [], 1, {"sub": "bob", "act": {}}, {"sub": "bob", "act": "carol"}],
    "fv": [
        *([], [1], [1, 2, 3], "12", 1, True, {}, {"0": 1, "1": 2}, [[1, 2]], [None, None]),
        *([True, 1], [1, True], [1.0, 1], [1, 1.0], ["1", 1], [1, "1"], [0, 1], [-1, 1], [1, -1]),
        *([1, SEQ_MAX + 1], [SEQ_MAX + 1, 1], [1, HUGE], [1, 1e30], [1, None]),
    ],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in WRONG.items() for v in vs], ids=lambda v: str(v)[:20])
def test_refuses(name: str, value: Any) -> None:
    with pytest.raises(MalformedError, match=r"^claims: ") as refusal:
        read_claims({**GOOD, name: value})
    assert len(str(refusal.value)) < 1_000


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": "a" * ID_MAX_CHARS},
        {"sub": "😀" * ID_MAX_CHARS},
        {"sub": "a\x1b[2J"},
        {"iat": 0, "exp": SEQ_MAX},
        {"fv": [SEQ_MAX, SEQ_MAX]},
        {"aud": ["a"] * AUDIENCES_MAX},
        {"permissions": ["a:b"] * PERMISSIONS_MAX},
    ],
    ids=str,
)
def test_reads_what_is_just_within_the_bounds(changes: dict[str, Any]) -> None:
    read_claims({**GOOD, **changes})


def test_a_message_never_repeats_what_was_given() -> None:
    secret = "hunter2hunter2"
    wrong = {name: {secret: secret} if name != "act" else secret for name in GOOD}
    with pytest.raises(MalformedError) as refusal:
        read_claims(wrong)
    assert secret not in str(refusal.value)


def test_integers_too_large_for_json_readers_are_no_times() -> None:
    text = strict_json.dumps(GOOD).replace(b"1800000300", b"1" * 30)
    with pytest.raises(MalformedError, match="exp"):
        read_claims(strict_json.loads_object(text))
