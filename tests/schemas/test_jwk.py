from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ostraka_schemas import base64url
from ostraka_schemas.errors import UnsupportedKeyError
from ostraka_schemas.jwk import ALGORITHMS, Algorithm, SigningKey, VerificationKey, is_kid, thumbprint
from tests.schemas.keys import signing_key

# RFC 7638 §3.1 and RFC 8037 appendix A.
RFC_7638: dict[str, Any] = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc"
    "_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQ"
    "R0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bF"
    "TWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}
RFC_8037: dict[str, Any] = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


def test_the_thumbprints_of_the_rfcs() -> None:
    assert thumbprint(RFC_7638) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert VerificationKey.from_jwk(RFC_7638).thumbprint == thumbprint(RFC_7638)
    assert VerificationKey.from_jwk(RFC_7638).kid == "2011-04-29"
    assert thumbprint(RFC_8037) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert VerificationKey.from_jwk(RFC_8037, alg="EdDSA").kid == thumbprint(RFC_8037)


def test_the_signature_of_rfc_8037_appendix_a() -> None:
    message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    key = VerificationKey.from_jwk(RFC_8037, alg="EdDSA")
    assert key.verifies(message, base64url.decode_text(signature))
    private = ed25519.Ed25519PrivateKey.from_private_bytes(
        base64url.decode_text("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
    )
    made = SigningKey.from_private(private, "EdDSA")
    assert made.public == key
    assert made.sign(message) == base64url.decode_text(signature)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_key_that_was_made_can_be_published_and_read(alg: Algorithm) -> None:
    key = signing_key(alg)
    jwk = key.public.to_jwk()
    read = VerificationKey.from_jwk(jwk)
    assert read == key.public
    assert (jwk["alg"], jwk["use"], jwk["kid"]) == (alg, "sig", key.public.thumbprint)
    assert set(jwk) - {"alg", "use", "kid"} == {"EC": {"kty", "crv", "x", "y"}, "OKP": {"kty", "crv", "x"}}.get(
        jwk["kty"], {"kty", "n", "e"}
    )
    assert read.verifies(b"message", key.sign(b"message"))
    assert not read.verifies(b"massage", key.sign(b"message"))


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_nothing_of_the_private_half_is_printed(alg: Algorithm) -> None:
    key = signing_key(alg)
    assert repr(key) == f"SigningKey(public=VerificationKey(kid='{key.kid}', alg='{alg}'))"


@pytest.mark.parametrize("alg", ALGORITHMS)
@pytest.mark.parametrize("claimed", ALGORITHMS)
def test_a_key_serves_only_its_own_kind_of_algorithm(alg: Algorithm, claimed: Algorithm) -> None:
    jwk = {**signing_key(alg).public.jwk}
    if alg == claimed or {alg, claimed} == {"RS256", "PS256"}:
        assert VerificationKey.from_jwk(jwk, alg=claimed).alg == claimed
    else:
        with pytest.raises(UnsupportedKeyError):
            VerificationKey.from_jwk(jwk, alg=claimed)


def test_a_key_without_an_algorithm_or_with_two_is_refused() -> None:
    jwk = signing_key("ES256").public.to_jwk()
    bare = {name: value for name, value in jwk.items() if name != "alg"}
    for members, alg in (
        (bare, None),
        (jwk, "EdDSA"),
        ({**jwk, "alg": "HS256"}, None),
        ({**jwk, "alg": None}, "ES256"),
    ):
        with pytest.raises(UnsupportedKeyError):
            VerificationKey.from_jwk(members, alg=alg)


def _rsa(bits: int, exponent: int = 65_537) -> dict[str, str]:
    numbers = rsa.generate_private_key(public_exponent=exponent, key_size=bits).public_key().public_numbers()
    return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}


def _number(value: int, size: int | None = None) -> str:
    return base64url.encode(value.to_bytes(size or (value.bit_length() + 7) // 8)).decode()


def _roca_modulus() -> int:
    # CVE-2017-15361 makes primes k·M + (65537^a mod M); so n is a power of 65537 modulo each prime of M.
    product = 1
    for prime in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101):
        product *= prime
    for prime in (103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167):
        product *= prime
    top = 2**2_047
    return top - top % product + product + pow(65_537, 12_345, product)


EC_KEY = signing_key("ES256").public.jwk
OKP_KEY = signing_key("EdDSA").public.jwk
RSA_KEY = signing_key("RS256").public.jwk
N = int.from_bytes(base64url.decode_text(RSA_KEY["n"]))
P384 = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
ED448 = ed448.Ed448PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
X25519 = x25519.X25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
PRIME_25519 = 2**255 - 19
ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826


def _okp(y: int) -> dict[str, str]:
    return {**OKP_KEY, "x": base64url.encode(y.to_bytes(32, "little")).decode()}


REFUSED: dict[str, tuple[Algorithm, dict[str, Any]]] = {
    "P-384": ("ES256", {"kty": "EC", "crv": "P-384", "x": _number(P384.x, 48), "y": _number(P384.y, 48)}),
    "P-384 called P-256": ("ES256", {**EC_KEY, "x": _number(P384.x, 48), "y": _number(P384.y, 48)}),
    "secp256k1": ("ES256", {**EC_KEY, "crv": "secp256k1"}),
    "not on the curve": ("ES256", {**EC_KEY, "y": EC_KEY["x"]}),
    "the origin": ("ES256", {**EC_KEY, "x": "A" * 43, "y": "A" * 43}),
    "a short coordinate": ("ES256", {**EC_KEY, "x": EC_KEY["x"][:-2]}),
    "a long coordinate": ("ES256", {**EC_KEY, "x": "AAAA" + EC_KEY["x"]}),
    "no coordinate": ("ES256", {"kty": "EC", "crv": "P-256", "x": EC_KEY["x"]}),
    "an EC private key": ("ES256", {**EC_KEY, "d": "A" * 43}),
    "Ed448": ("EdDSA", {"kty": "OKP", "crv": "Ed448", "x": base64url.encode(ED448).decode()}),
    "Ed448 called Ed25519": ("EdDSA", {**OKP_KEY, "x": base64url.encode(ED448).decode()}),
    "X25519": ("EdDSA", {**OKP_KEY, "crv": "X25519", "x": base64url.encode(X25519).decode()}),
    "an Ed25519 private key": ("EdDSA", {**OKP_KEY, "d": "A" * 43}),
    "an Ed25519 key with y": ("EdDSA", {**OKP_KEY, "y": "A" * 43}),
    "padding": ("EdDSA", {**OKP_KEY, "x": OKP_KEY["x"] + "="}),
    "stray bits": ("EdDSA", {**OKP_KEY, "x": OKP_KEY["x"][:-1] + "B"}),
    "white space": ("EdDSA", {**OKP_KEY, "x": OKP_KEY["x"] + "\n"}),
    "no point": ("EdDSA", {**OKP_KEY, "x": ""}),
    **{
        f"a point of small order, y = {name}, sign {sign}": ("EdDSA", _okp(y + (sign << 255)))
        for name, y in {
            "0": 0,
            "1": 1,
            "-1": PRIME_25519 - 1,
            "of order 8": ORDER_8,
            "of order 8, negated": PRIME_25519 - ORDER_8,
            "p": PRIME_25519,
            "p + 1": PRIME_25519 + 1,
        }.items()
        for sign in (0, 1)
    },
    "RSA-1024": ("RS256", _rsa(1_024)),
    "RSA with exponent 3": ("RS256", _rsa(2_048, 3)),
    "RSA-4104": ("RS256", {**RSA_KEY, "n": _number(2**4_103 + 1)}),
    "ROCA": ("RS256", {**RSA_KEY, "n": _number(_roca_modulus())}),
    "an even modulus": ("RS256", {**RSA_KEY, "n": _number(N + 1)}),
    "exponent 1": ("RS256", {**RSA_KEY, "e": "AQ"}),
    "a leading zero": ("RS256", {**RSA_KEY, "n": base64url.encode(b"\0" + N.to_bytes(384)).decode()}),
    "an exponent with a leading zero": ("RS256", {**RSA_KEY, "e": "AAEAAQ"}),
    "an RSA private key": ("RS256", {**RSA_KEY, "d": "AQAB"}),
    "other primes": ("RS256", {**RSA_KEY, "oth": "x"}),
    "a secret": ("ES256", {"kty": "oct", "k": "A" * 43}),
    "a secret for HS256": ("ES256", {"kty": "oct", "k": "A" * 43, "alg": "HS256"}),
    "for encryption": ("ES256", {**EC_KEY, "use": "enc"}),
    "a certificate": ("ES256", {**EC_KEY, "x5c": "MIIB"}),
    "key operations": ("ES256", {**EC_KEY, "key_ops": "verify"}),
    "a number": ("ES256", {**EC_KEY, "x": 1}),
    "no type": ("ES256", {name: value for name, value in EC_KEY.items() if name != "kty"}),
    "a type that is a list": ("ES256", {**EC_KEY, "kty": ["EC"]}),
    "a kid with a slash": ("ES256", {**EC_KEY, "kid": "../x"}),
    "an empty kid": ("ES256", {**EC_KEY, "kid": ""}),
    "a kid that is no text": ("ES256", {**EC_KEY, "kid": 7}),
    "nothing": ("ES256", {}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name: str) -> None:
    alg, jwk = REFUSED[name]
    with pytest.raises(UnsupportedKeyError) as refusal:
        VerificationKey.from_jwk(jwk, alg=alg)
    for value in jwk.values():
        assert not isinstance(value, str) or len(value) < 20 or value not in str(refusal.value)


def test_a_key_of_small_order_would_take_what_nobody_signed() -> None:
    # Why they are refused: with the neutral point as key, one signature fits every message.
    neutral = ed25519.Ed25519PublicKey.from_public_bytes(b"\x01" + bytes(31))
    neutral.verify(b"\x01" + bytes(63), b"anything")


def test_only_keys_that_fit_can_sign() -> None:
    foreign: list[tuple[Any, Algorithm]] = [
        (ec.generate_private_key(ec.SECP384R1()), "ES256"),
        (ed448.Ed448PrivateKey.generate(), "EdDSA"),
        (signing_key("ES256").private, "EdDSA"),
        (signing_key("EdDSA").private, "RS256"),
        (signing_key("RS256").private, "ES256"),
        (dsa.generate_private_key(1_024), "RS256"),
        (rsa.generate_private_key(public_exponent=65_537, key_size=1_024), "RS256"),
        ("secret", "ES256"),
        (None, "EdDSA"),
    ]
    for private, alg in foreign:
        with pytest.raises(UnsupportedKeyError):
            SigningKey.from_private(private, alg)


def test_a_thumbprint_names_the_material_whatever_else_is_said() -> None:
    jwk = signing_key("ES256").public.to_jwk()
    assert thumbprint(jwk) == thumbprint({**jwk, "kid": "other", "use": "enc"})
    for bad in ({}, {"kty": "oct", "k": "x"}, {"kty": "EC", "crv": "P-256", "x": "A"}):
        with pytest.raises(UnsupportedKeyError):
            thumbprint(bad)


def test_kids() -> None:
    assert all(map(is_kid, ("k", "A-_9", "k" * 64)))
    assert not any(map(is_kid, ("", "k" * 65, "k\n", "k.", "é", "١", None, 1, b"k", ["k"])))
