from collections.abc import Sequence
from typing import Any

import pytest

from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.errors import MalformedError, SignatureMismatch, WireError
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.limits import MAX_STALENESS, ROOT_MAX_BYTES, TOKEN_KEYS_MAX, TOKEN_LIFETIME_MAX
from ostraka_schemas.root import Limits, RootDocument, read_root_unverified, sign_root, verify_first_root
from tests.schemas.keys import signing_key

ROOTS = [signing_key("EdDSA", number) for number in (1, 2, 3)]
FEED = signing_key("EdDSA", 4)
STRANGER = signing_key("EdDSA", 5)


def document(keys: Sequence[SigningKey] = ROOTS[:1], threshold: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "iss": "https://id.example",
        "version": 1,
        "epoch": 1,
        "iat": 1_000,
        "exp": 2_000,
        "root": {"keys": [key.public.to_jwk() for key in keys], "threshold": threshold},
        "feed": {"keys": [FEED.public.to_jwk()], "exp": 2_000},
        **changes,
    }


def signed(content: dict[str, Any], *keys: SigningKey) -> dict[str, Any]:
    return jws.sign_general(strict_json.dumps(content), keys, typ=jws.TYP_ROOT)


def thumbprints(*keys: SigningKey) -> tuple[str, ...]:
    return tuple(key.public.thumbprint for key in keys)


def test_one_of_one() -> None:
    root = RootDocument.model_validate(document())
    assert verify_first_root(sign_root(root, ROOTS[:1]), trusted=thumbprints(ROOTS[0])) == root
    assert root.limits == Limits()


@pytest.mark.parametrize(
    ("signers", "trusted", "accepted"),
    [
        ((0, 1), (0, 1, 2), True),
        ((1, 2), (0, 1, 2), True),
        ((0, 1, 2), (0, 1, 2), True),
        ((0, 1), (0, 1), True),
        ((0,), (0, 1, 2), False),
        ((0, 1), (0,), False),
        ((0, 1), (2,), False),
        ((0, 1, 2), (), False),
        ((0, 1, 2), (0,), False),
    ],
)
def test_two_of_three_counts_only_keys_that_are_trusted(
    signers: tuple[int, ...], trusted: tuple[int, ...], accepted: bool
) -> None:
    value = signed(document(ROOTS, 2), *(ROOTS[n] for n in signers))
    anchors = thumbprints(*(ROOTS[n] for n in trusted))
    if accepted:
        assert verify_first_root(value, trusted=anchors).root.threshold == 2
    else:
        with pytest.raises(SignatureMismatch):
            verify_first_root(value, trusted=anchors)


def test_a_key_that_the_document_does_not_name_does_not_count_even_if_it_is_trusted() -> None:
    with pytest.raises(SignatureMismatch):
        verify_first_root(signed(document(), STRANGER), trusted=thumbprints(ROOTS[0], STRANGER))


def test_a_document_of_a_strangers_own_is_not_trusted() -> None:
    with pytest.raises(SignatureMismatch):
        verify_first_root(signed(document([STRANGER]), STRANGER), trusted=thumbprints(*ROOTS))


def test_the_feed_key_cannot_sign_a_root_document() -> None:
    with pytest.raises(SignatureMismatch):
        verify_first_root(signed(document(), FEED), trusted=thumbprints(ROOTS[0], FEED))


def test_a_signature_repeated_does_not_count_twice() -> None:
    value = signed(document(ROOTS, 2), ROOTS[0])
    for again in (value["signatures"][0], {**value["signatures"][0], "signature": "A" * 86}):
        with pytest.raises(MalformedError, match="twice"):
            verify_first_root({**value, "signatures": [value["signatures"][0], again]}, trusted=thumbprints(*ROOTS))


def test_a_broken_signature_beside_enough_good_ones_does_no_harm() -> None:
    value = signed(document(ROOTS, 2), *ROOTS)
    value["signatures"][0]["signature"] = "A" * 86
    assert verify_first_root(value, trusted=thumbprints(*ROOTS)).version == 1
    value["signatures"][1]["signature"] = "A" * 86
    with pytest.raises(SignatureMismatch):
        verify_first_root(value, trusted=thumbprints(*ROOTS))


def test_what_was_signed_cannot_be_changed() -> None:
    value = signed(document(), ROOTS[0])
    changed = base64url.encode(strict_json.dumps(document(epoch=2))).decode()
    with pytest.raises(SignatureMismatch):
        verify_first_root({**value, "payload": changed}, trusted=thumbprints(ROOTS[0]))


JWK = ROOTS[0].public.to_jwk()
RSA = signing_key("RS256").public.to_jwk()
BAD: dict[str, dict[str, Any]] = {
    "the same root key twice": document(root={"keys": [JWK, JWK], "threshold": 1}),
    "the same root key under two names": document(root={"keys": [JWK, {**JWK, "kid": "b"}], "threshold": 1}),
    "a kid that is not the thumbprint": document(root={"keys": [{**JWK, "kid": "a"}], "threshold": 1}),
    "one kid for two keys": document(
        root={"keys": [JWK, {**ROOTS[1].public.to_jwk(), "kid": JWK["kid"]}], "threshold": 1}
    ),
    "a key for both": document(feed={"keys": [JWK], "exp": 2_000}),
    "a threshold of none": document(threshold=0),
    "a threshold below none": document(threshold=-1),
    "a threshold out of reach": document(threshold=2),
    "a threshold that is true": document(root={"keys": [JWK], "threshold": True}),
    "no root keys": document(root={"keys": [], "threshold": 1}),
    "too many root keys": document([signing_key("EdDSA", n) for n in range(20, 37)]),
    "no feed keys": document(feed={"keys": [], "exp": 2_000}),
    "too many feed keys": document(
        feed={"keys": [signing_key("EdDSA", n).public.to_jwk() for n in range(20, 25)], "exp": 2_000}
    ),
    "an RSA root key": document(root={"keys": [RSA], "threshold": 1}),
    "an RSA feed key": document(feed={"keys": [RSA], "exp": 2_000}),
    "a private key": document(root={"keys": [{**JWK, "d": "A" * 43}], "threshold": 1}),
    "a key that is a number": document(root={"keys": [1], "threshold": 1}),
    "ended before it began": document(exp=1_000),
    "no epoch": document(epoch=0),
    "a version that is text": document(version="1"),
    "a version that is a float": document(version=1.0),
    "no issuer": document(iss=""),
    "a time that is a float": document(iat=1.5),
    "no root": document(root=None),
    "no feed": document(feed=None),
    "HS256 tokens": document(limits={"token_algorithms": ["HS256"]}),
    "no algorithm": document(limits={"token_algorithms": []}),
    "too many token keys": document(limits={"token_keys": TOKEN_KEYS_MAX + 1}),
    "tokens that live too long": document(limits={"token_lifetime": TOKEN_LIFETIME_MAX + 1}),
    "no staleness": document(limits={"max_staleness": 0}),
    "an hour and more of staleness": document(limits={"max_staleness": 3_601}),
    "a heartbeat that is slower than staleness": document(limits={"heartbeat_interval": MAX_STALENESS + 1}),
    "late below none": document(limits={"late": -1}),
    "limits that are null": document(limits=None),
    "nothing": {},
}


@pytest.mark.parametrize("name", BAD)
def test_refuses_the_content_however_well_signed(name: str) -> None:
    value = signed(BAD[name], *ROOTS)
    with pytest.raises(MalformedError):
        verify_first_root(value, trusted=thumbprints(*ROOTS))
    with pytest.raises(MalformedError):
        read_root_unverified(value)


@pytest.mark.parametrize("typ", ["at+jwt", "secevent+jwt", "JWT", ""])
def test_refuses_another_type(typ: str) -> None:
    value = jws.sign_general(strict_json.dumps(document()), ROOTS[:1], typ=typ)
    with pytest.raises(MalformedError):
        verify_first_root(value, trusted=thumbprints(ROOTS[0]))


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, {"payload": "e30"}, b"{}"])
def test_refuses_what_is_no_general_jws(value: Any) -> None:
    with pytest.raises(WireError):
        verify_first_root(value, trusted=thumbprints(ROOTS[0]))


def test_refuses_what_would_not_fit_into_a_record() -> None:
    value = signed(document(note="x" * ROOT_MAX_BYTES), ROOTS[0])
    with pytest.raises(MalformedError):
        verify_first_root(value, trusted=thumbprints(ROOTS[0]))


def test_what_a_later_version_adds_is_ignored() -> None:
    value = signed(document(witnesses=[1], limits={"new": 1}), ROOTS[0])
    assert verify_first_root(value, trusted=thumbprints(ROOTS[0])).limits == Limits()


def test_it_can_be_shown_without_being_believed() -> None:
    assert read_root_unverified(signed(document(), STRANGER)).iss == "https://id.example"
