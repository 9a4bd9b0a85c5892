from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from hypothesis import given
from hypothesis import strategies as st

from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.errors import MalformedError, SignatureMismatch, WireError
from ostraka_schemas.jwk import ALGORITHMS, Algorithm, SigningKey, VerificationKey
from ostraka_schemas.limits import KID_MAX_CHARS, TOKEN_MAX_BYTES
from tests.corpora.headers import KIDS, bad_headers
from tests.schemas.keys import signing_key
from tests.support.forging import forge, hmac_signer, resign, secrets_made_of

KEY = signing_key("ES256")
GOOD = {"alg": KEY.alg, "kid": KEY.kid, "typ": "at+jwt"}
PAYLOAD = b'{"a":1}'


def read(raw: bytes, key: VerificationKey = KEY.public, *, typ: str = "at+jwt") -> bytes:
    """All five rules, and the payload."""
    compact = jws.split(raw, max_bytes=TOKEN_MAX_BYTES)
    header = jws.read_header(compact.header, typ=typ)
    jws.check(compact, header, key)
    return base64url.decode(compact.payload)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_what_was_signed_is_read_back(alg: Algorithm) -> None:
    key = signing_key(alg)
    raw = jws.sign(PAYLOAD, key, typ="at+jwt", max_bytes=TOKEN_MAX_BYTES)
    assert read(raw, key.public) == PAYLOAD
    assert strict_json.loads_object(base64url.decode(raw.split(b".")[0])) == {**GOOD, "alg": alg, "kid": key.kid}


@pytest.mark.parametrize("named", [*ALGORITHMS, "ES384", "ES512", "PS384", "HS256", "none"])
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_the_header_never_chooses_the_algorithm(alg: Algorithm, named: str) -> None:
    key = signing_key(alg)
    raw = forge({**GOOD, "alg": named, "kid": key.kid}, PAYLOAD, key.sign)
    if named == alg:
        assert read(raw, key.public) == PAYLOAD
    else:
        with pytest.raises((MalformedError, SignatureMismatch)):
            read(raw, key.public)


@pytest.mark.parametrize(("made", "held"), [("RS256", "PS256"), ("PS256", "RS256")])
def test_one_rsa_key_is_bound_to_one_padding(made: Algorithm, held: Algorithm) -> None:
    key = signing_key(made)
    same = VerificationKey.from_jwk({**key.public.jwk, "kid": key.kid}, alg=held)
    for named in (made, held):
        with pytest.raises(SignatureMismatch):
            read(forge({**GOOD, "alg": named, "kid": key.kid}, PAYLOAD, key.sign), same)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_another_key_of_the_same_kind_under_its_name_is_refused(alg: Algorithm) -> None:
    key, other = signing_key(alg), signing_key(alg, 1)
    with pytest.raises(SignatureMismatch):
        read(forge({**GOOD, "alg": alg, "kid": key.kid}, PAYLOAD, other.sign), key.public)


@pytest.mark.parametrize("name", bad_headers())
def test_refuses_the_header(name: str) -> None:
    with pytest.raises(MalformedError) as refusal:
        read(forge(bad_headers(GOOD)[name], PAYLOAD, KEY.sign))
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("kid", KIDS, ids=range(len(KIDS)))
def test_a_kid_is_a_short_name_and_nothing_else(kid: Any) -> None:
    with pytest.raises(MalformedError):
        read(forge({**GOOD, "kid": kid}, PAYLOAD, KEY.sign))


def test_there_are_many_injections() -> None:
    assert len(KIDS) >= 200


def test_a_kid_may_be_as_long_as_the_bound() -> None:
    key = SigningKey.from_private(KEY.private, "ES256", kid="k" * KID_MAX_CHARS)
    assert read(jws.sign(PAYLOAD, key, typ="at+jwt", max_bytes=TOKEN_MAX_BYTES), key.public) == PAYLOAD


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_public_key_is_never_a_secret(alg: Algorithm) -> None:
    key = signing_key(alg)
    for secret in secrets_made_of(key).values():
        for bits in (256, 384, 512):
            for named in (f"HS{bits}", alg):
                raw = forge({**GOOD, "alg": named, "kid": key.kid}, PAYLOAD, hmac_signer(secret, bits))
                with pytest.raises((MalformedError, SignatureMismatch)):
                    read(raw, key.public)


def test_the_header_may_be_spelled_with_space_and_in_any_order() -> None:
    header = b'{ "typ" : "at+jwt", "kid":"%b" ,"alg":"ES256" }' % KEY.kid.encode()
    assert read(forge(header, PAYLOAD, KEY.sign)) == PAYLOAD


@pytest.mark.parametrize(
    "typ", ["AT+JWT", "application/at+jwt", "at+jwt ", "JWT", "secevent+jwt", "", None, 1, ["at+jwt"]]
)
def test_the_type_is_the_one_that_is_expected_letter_by_letter(typ: Any) -> None:
    with pytest.raises(MalformedError):
        read(forge({**GOOD, "typ": typ}, PAYLOAD, KEY.sign))


H, P, S = jws.sign(PAYLOAD, KEY, typ="at+jwt", max_bytes=TOKEN_MAX_BYTES).split(b".")
SHAPES: dict[str, bytes] = {
    "nothing": b"",
    "one dot": b".",
    "two dots": b"..",
    "one segment": H,
    "two segments": H + b"." + P,
    "no signature": H + b"." + P + b".",
    "no payload": H + b".." + S,
    "no header": b"." + P + b"." + S,
    "four segments": b".".join((H, P, S, S)),
    "a JWE": b".".join((H, P, P, P, S)),
    "a dot behind": b".".join((H, P, S)) + b".",
    "a dot before": b"." + b".".join((H, P, S)),
    "padding in the header": b".".join((H + b"=", P, S)),
    "padding in the payload": b".".join((H, P + b"=", S)),
    "padding in the signature": b".".join((H, P, S + b"==")),
    "a newline behind": b".".join((H, P, S)) + b"\n",
    "a space before": b" " + b".".join((H, P, S)),
    "a tab within": b".".join((H, b"\t" + P, S)),
    "a NUL behind": b".".join((H, P, S)) + b"\0",
    "the standard alphabet": b".".join((H, P[:-1] + b"+", S)),
    "a slash": b".".join((H, P[:-1] + b"/", S)),
    "digits of another script": b".".join((H, P, S)).replace(b"1", "١".encode()) + "١".encode(),
    "a full-width dot": (H + b"." + P).replace(b".", "．".encode()) + b"." + S,
    "the scheme before it": b"Bearer " + b".".join((H, P, S)),
    "quotes": b'"' + b".".join((H, P, S)) + b'"',
    "UTF-16": b".".join((H, P, S)).decode().encode("utf-16"),
    "a BOM": b"\xef\xbb\xbf" + b".".join((H, P, S)),
    "JSON serialisation": strict_json.dumps({"protected": "a", "payload": "b", "signature": "c"}),
    "raw bytes": bytes(range(256)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_refuses_the_shape(name: str) -> None:
    with pytest.raises(MalformedError):
        jws.split(SHAPES[name], max_bytes=TOKEN_MAX_BYTES)


def test_a_segment_of_impossible_length_or_with_stray_bits_is_refused() -> None:
    assert len(S) % 4 == 2
    for signature in (S + b"A", S + b"AA", S[:-1], S[:-1] + b"B", S[:-1] + b"-"):
        with pytest.raises((MalformedError, SignatureMismatch)):
            read(b".".join((H, P, signature)))
    stray = base64url.encode(b'{"a":11}')[:-1]
    for last in b"BCDFGH":
        with pytest.raises(MalformedError):
            read(resign(GOOD, stray + bytes([last]), KEY))


def test_the_largest_that_may_be_signed_is_the_largest_that_is_read() -> None:
    size = TOKEN_MAX_BYTES
    overhead = len(jws.sign(b"", KEY, typ="at+jwt", max_bytes=size))
    payload = b"x" * ((size - overhead) * 3 // 4)
    raw = jws.sign(payload, KEY, typ="at+jwt", max_bytes=size)
    assert size - 4 < len(raw) <= size
    assert read(raw) == payload
    with pytest.raises(MalformedError, match="more than"):
        jws.sign(payload + b"xxx", KEY, typ="at+jwt", max_bytes=size)
    with pytest.raises(MalformedError, match="longer than"):
        jws.split(raw, max_bytes=len(raw) - 1)


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PRIME = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF


@pytest.mark.parametrize("r", [0, 1, ORDER - 1, ORDER, ORDER + 1, PRIME, 2**256 - 1])
@pytest.mark.parametrize("s", [0, 1, ORDER - 1, ORDER, ORDER + 1, 2**256 - 1])
def test_signatures_that_nobody_made_are_refused(r: int, s: int) -> None:
    with pytest.raises(SignatureMismatch):
        read(forge(GOOD, PAYLOAD, r.to_bytes(32) + s.to_bytes(32)))


def test_an_ecdsa_signature_has_one_encoding() -> None:
    assert isinstance(KEY.private, ec.EllipticCurvePrivateKey)
    private = KEY.private
    raw = b".".join((H, P, S))
    signature = base64url.decode(S)
    der = utils.encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
    wrong = (der, signature[:63], signature + b"\0", b"\0" + signature, signature[:32] + b"\0" + signature[32:], b"\0")
    assert read(raw) == PAYLOAD
    for other in wrong:
        with pytest.raises(SignatureMismatch):
            read(b".".join((H, P, base64url.encode(other))))
    sha512 = utils.decode_dss_signature(private.sign(H + b"." + P, ec.ECDSA(hashes.SHA512())))
    with pytest.raises(SignatureMismatch):
        read(b".".join((H, P, base64url.encode(b"".join(n.to_bytes(32) for n in sha512)))))


def test_an_ed25519_signature_cannot_be_varied() -> None:
    # Otherwise anybody could make a second record for a position and cry equivocation (RFC 8032 §5.1.7).
    key = signing_key("EdDSA")
    order = 2**252 + 27742317777372353535851937790883648493
    raw = jws.sign(PAYLOAD, key, typ="at+jwt", max_bytes=TOKEN_MAX_BYTES)
    head, _, segment = raw.rpartition(b".")
    signature = base64url.decode(segment)
    for times in (1, 2, 7):
        s = int.from_bytes(signature[32:], "little") + times * order
        if s < 2**256:
            with pytest.raises(SignatureMismatch):
                read(head + b"." + base64url.encode(signature[:32] + s.to_bytes(32, "little")), key.public)


def test_an_rsa_signature_is_of_the_right_hash_salt_and_length() -> None:
    key = signing_key("PS256")
    private: Any = key.private
    header = {**GOOD, "alg": "PS256", "kid": key.kid}

    def pss(salt: int, digest: hashes.HashAlgorithm) -> bytes:
        scheme = padding.PSS(mgf=padding.MGF1(digest), salt_length=salt)
        signed: bytes = forge(header, PAYLOAD, lambda message: private.sign(message, scheme, digest))
        return signed

    assert read(pss(32, hashes.SHA256()), key.public) == PAYLOAD
    for raw in (pss(0, hashes.SHA256()), pss(20, hashes.SHA256()), pss(32, hashes.SHA512())):
        with pytest.raises(SignatureMismatch):
            read(raw, key.public)
    good = base64url.decode(pss(32, hashes.SHA256()).rsplit(b".", 1)[1])
    for signature in (b"\0" + good, good[:-1], good + b"\0", b"\0" * len(good)):
        with pytest.raises(SignatureMismatch):
            read(forge(header, PAYLOAD, signature), key.public)


@given(st.binary(max_size=120))
def test_nothing_but_our_errors_comes_out(raw: bytes) -> None:
    with pytest.raises(WireError):
        read(raw)


@given(st.integers(0, len(H + P + S) + 1), st.integers(1, 255))
def test_no_byte_can_be_changed(at: int, change: int) -> None:
    raw = bytearray(b".".join((H, P, S)))
    raw[at] ^= change
    with pytest.raises(WireError):
        read(bytes(raw))


# --- general form --------------------------------------------------------------------------------------------------

ROOT_KEYS = [signing_key("EdDSA", number) for number in (1, 2, 3)]


def general(**changes: Any) -> dict[str, Any]:
    """A good general JWS with members changed; ``None`` takes one out."""
    signed = {**jws.sign_general(PAYLOAD, ROOT_KEYS, typ=jws.TYP_ROOT), **changes}
    return {name: value for name, value in signed.items() if value is not None}


def read_general(value: Any) -> jws.GeneralJws:
    return jws.read_general(value, typ=jws.TYP_ROOT, max_bytes=1_000, max_signatures=3)


def test_a_general_jws_is_counted_by_the_keys_that_are_known() -> None:
    document = read_general(general())
    known = {key.kid: key.public for key in ROOT_KEYS}
    assert document.payload == PAYLOAD
    for count in range(4):
        assert jws.count_valid(document, dict(list(known.items())[:count]).get) == count


def test_a_signature_that_does_not_fit_does_not_count() -> None:
    signed = general()
    signed["signatures"][0]["signature"] = signed["signatures"][1]["signature"]
    known = {key.kid: key.public for key in ROOT_KEYS}
    assert jws.count_valid(read_general(signed), known.get) == 2
    other = general(payload=base64url.encode(b'{"a":2}').decode())
    assert jws.count_valid(read_general(other), known.get) == 0


def test_the_same_key_under_two_names_counts_once() -> None:
    twice = [SigningKey.from_private(ROOT_KEYS[0].private, "EdDSA", kid=kid) for kid in ("a", "b")]
    document = read_general(jws.sign_general(PAYLOAD, twice, typ=jws.TYP_ROOT))
    assert jws.count_valid(document, {key.kid: key.public for key in twice}.get) == 1


ENTRY = general()["signatures"][0]
GENERAL: dict[str, Any] = {
    "null": None,
    "a list": [general()],
    "a string": "x",
    "nothing": {},
    "no payload": general(payload=None),
    "no signatures": general(signatures=None),
    "a header": general(header={"alg": "EdDSA"}),
    "a protected header outside": general(protected=ENTRY["protected"]),
    "signatures that are no list": general(signatures=ENTRY),
    "an empty list": general(signatures=[]),
    "too many": general(signatures=[*general()["signatures"], ENTRY]),
    "the same kid twice": general(signatures=[ENTRY, ENTRY]),
    "an unprotected header": general(signatures=[{**ENTRY, "header": {"kid": "x"}}]),
    "no protected header": general(signatures=[{"signature": ENTRY["signature"]}]),
    "an empty signature": general(signatures=[{**ENTRY, "signature": ""}]),
    "a signature that is a number": general(signatures=[{**ENTRY, "signature": 1}]),
    "an entry that is a string": general(signatures=["x"]),
    "a payload that is a number": general(payload=1),
    "a dot in the payload": general(payload="e30.e30"),
    "padding": general(payload="e30="),
    "half a surrogate pair": general(payload="\ud800"),
    "larger than a document may be": general(payload="A" * 2_000),
    "of another type": jws.sign_general(PAYLOAD, ROOT_KEYS, typ=jws.TYP_EVENT),
}


@pytest.mark.parametrize("name", GENERAL)
def test_refuses_the_document(name: str) -> None:
    with pytest.raises(MalformedError):
        read_general(GENERAL[name])
