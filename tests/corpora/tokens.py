"""Tokens that must be refused, and by which error."""

from dataclasses import dataclass
from typing import Any

from ostraka_consumers import (
    BadSignature,
    Malformed,
    UnknownKey,
    VerificationError,
    WrongAudience,
    WrongIssuer,
)
from ostraka_schemas import base64url, strict_json
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.limits import SEQ_MAX, TOKEN_MAX_BYTES
from tests.corpora.headers import KIDS, bad_headers
from tests.corpora.json_texts import READ, REFUSED
from tests.support.fake_issuer import FakeIssuer
from tests.support.forging import forge, hmac_signer, resign, secrets_made_of


@dataclass(frozen=True)
class BadToken:
    """What is presented, and what must be raised."""

    name: str
    token: Any
    error: type[VerificationError] = Malformed


class Text(str):
    """A str that could lie about itself."""

    __slots__ = ()


def bad_tokens(issuer: FakeIssuer) -> list[BadToken]:
    """All of them, against the state in which ``issuer`` is now."""
    good = issuer.token().encode()
    return [
        *_types(good),
        *_shapes(good),
        *_headers(issuer),
        *_payloads(issuer),
        *_claims(issuer),
        *_signatures(issuer, good),
    ]


def _types(good: bytes) -> list[BadToken]:
    text = good.decode()
    values = [None, 0, 1, True, 1.5, object(), [], [text], {}, {"token": text}, (text,), {text}, lambda: text]
    values += [bytearray(good), memoryview(good), Text(text), [good], Ellipsis, type, NotImplemented]
    return [BadToken(f"a {type(value).__name__} ({n})", value) for n, value in enumerate(values)]


def _shapes(good: bytes) -> list[BadToken]:
    header, payload, signature = good.split(b".")
    text = good.decode()
    values: dict[str, Any] = {
        "empty": "",
        "no bytes": b"",
        "a space": " ",
        "a NUL": "\0",
        "dots": "...",
        "two dots": "..",
        "a word": "token",
        "huge": "A" * (TOKEN_MAX_BYTES + 1),
        "very huge": b"A." * 5_000_000,
        "huge in wide characters": "é" * TOKEN_MAX_BYTES,
        "one too long": text + "A" * (TOKEN_MAX_BYTES + 1 - len(text)),
        "half a surrogate pair": text[:-1] + "\ud800",
        "only half a surrogate pair": "\udfff",
        "an emoji": text[:-2] + "😀",
        "the scheme before it": "Bearer " + text,
        "white space behind": text + " ",
        "a newline behind": text + "\n",
        "a NUL behind": good + b"\0",
        "padding": text + "==",
        "padding in the payload": b".".join((header, payload + b"=", signature)),
        "percent encoding": text.replace("_", "%5F").replace("-", "%2D") + "%20",
        "the standard alphabet": text.replace("_", "/").replace("-", "+") + "+/",
        "digits of another script": text + "١",
        "UTF-16": text.encode("utf-16"),
        "UTF-16 without a BOM": text.encode("utf-16-le"),
        "a BOM": "\ufeff" + text,
        "two tokens": text + "," + text,
        "two tokens, joined": text + "." + text,
        "no signature": header + b"." + payload,
        "an empty signature": header + b"." + payload + b".",
        "a JWE": b".".join((header, payload, payload, payload, signature)),
        "JSON": strict_json.dumps({"token": text}),
        "general JSON": strict_json.dumps({"payload": "e30", "signatures": []}),
        "HTML": "<script>alert(1)</script>",
        "a format string": "%s%n{0}{token}",
        "every byte": bytes(range(256)) * 10,
    }
    return [BadToken(name, value) for name, value in values.items()]


def _headers(issuer: FakeIssuer) -> list[BadToken]:
    key = issuer.token_key
    good = {"alg": key.alg, "kid": key.kid, "typ": "at+jwt"}
    payload = issuer.claims()
    types: list[Any] = ["JWT", "AT+JWT", "application/at+jwt", "secevent+jwt", "ostraka-root+jws", "", None, 1]
    found = [BadToken(f"header: {n}", forge(h, payload, key.sign)) for n, h in bad_headers(good).items()]
    found += [BadToken(f"kid {n}", forge({**good, "kid": kid}, payload, key.sign)) for n, kid in enumerate(KIDS)]
    found += [BadToken(f"typ {typ!r}", forge({**good, "typ": typ}, payload, key.sign)) for typ in types]
    found += [
        BadToken(f"alg {alg} of another key", forge({**good, "alg": alg}, payload, key.sign), BadSignature)
        for alg in ("EdDSA", "RS256", "PS256")
    ]
    for name, secret in secrets_made_of(key).items():
        for alg, error in (("HS256", Malformed), (key.alg, BadSignature)):
            token = forge({**good, "alg": alg}, payload, hmac_signer(secret))
            found.append(BadToken(f"{alg}, the public key ({name}) for a secret", token, error))
    none = forge({**good, "alg": "none"}, payload, b"")
    return [*found, BadToken("alg none, unsigned", none), BadToken("alg none, signed", none + b"AAAA")]


def _payloads(issuer: FakeIssuer) -> list[BadToken]:
    key = issuer.token_key
    header = {"alg": key.alg, "kid": key.kid, "typ": "at+jwt"}
    short = {n: t for n, t in (READ | REFUSED).items() if t and len(t) < 5_000}
    found = [BadToken(f"payload: {name}", forge(header, text, key.sign)) for name, text in short.items()]
    claims = strict_json.dumps(issuer.claims())
    texts = {
        "UTF-16": claims.decode().encode("utf-16"),
        "a BOM": b"\xef\xbb\xbf" + claims,
        "sub twice": claims[:-1] + b',"sub":"bob"}',
        "sub twice, escaped": claims[:-1] + b',"su\\u0062":"bob"}',
        "exp twice": b'{"exp":99999999999,' + claims[1:],
        "NaN": claims.replace(b'"exp":', b'"x":NaN,"exp":'),
        "an infinite time": claims.replace(b'"exp":', b'"exp":1e400,"x":'),
        "a float for a time": claims.replace(b'"exp":1', b'"exp":1.0,"x":1'),
        "an exponent for a time": claims.replace(b'"exp":1', b'"exp":18e8,"x":1'),
        "deep": claims[:-1] + b',"x":' + b"[" * 1_000 + b"]" * 1_000 + b"}",
        "compressed": bytes.fromhex("789cab56ca2c2e56b2520200"),
        "text": strict_json.dumps(claims.decode()),
        "a list of it": b"[" + claims + b"]",
    }
    found += [BadToken(f"payload: {name}", forge(header, text, key.sign)) for name, text in texts.items()]
    segment = base64url.encode(claims + b" " * (-len(claims) % 3 + 1))
    assert len(segment) % 4
    last = {2: b"BCDEFGHIJ", 3: b"BCDFGH"}[len(segment) % 4]
    spellings = [segment[:-1] + bytes([character]) for character in last] + [segment + b"A" * (5 - len(segment) % 4)]
    found += [BadToken(f"stray bits {n}", resign(header, s, key)) for n, s in enumerate(spellings)]
    return found


def _claims(issuer: FakeIssuer) -> list[BadToken]:
    now = issuer.now
    wrong: dict[str, list[Any]] = {
        **{name: [None, "", 1, True, ["a"], {}, "a" * 256] for name in ("iss", "sub", "client_id", "jti")},
        **{name: [None, True, 1.5, float(now), str(now), -1, SEQ_MAX + 1, [now], {}] for name in ("iat", "exp")},
        **{name: [True, 1.5, float(now), str(now), -1, SEQ_MAX + 1, [now], {}] for name in ("nbf", "auth_time")},
        "aud": [None, "", [], 1, True, {"orders": 1}, [1], ["orders", 1], ["orders"] * 33],
        "sid": ["", 1, True, [], "s" * 256],
        "permissions": ["orders:create", ["orders"], [1], [None], {}, ["a:b"] * 257, ["a:b\n"], ["a:b "], ["*"]],
        "fv": ["1:2", [1], [1, 2, 3], [True, 1], [1.0, 2], ["1", "2"], [0, 1], [1, -1], [1, SEQ_MAX + 1], {}, 1],
        "cnf": ["x", {}, {"jkt": 1}, {"jkt": ""}],
        "act": ["bob", {}, {"sub": 1}],
    }
    found = []
    for name, values in wrong.items():
        for value in values:
            members = {**issuer.claims(), name: value}
            token = forge(_header(issuer), {n: v for n, v in members.items() if v is not None}, issuer.token_key.sign)
            found.append(BadToken(f"claim {name} = {str(value)[:20]!r} ({type(value).__name__})", token))
    return [
        *found,
        BadToken("another issuer", issuer.token(iss="https://other"), WrongIssuer),
        BadToken("another audience", issuer.token(aud=["billing"]), WrongAudience),
        BadToken("lives too long", issuer.token(exp=now + 301)),
        BadToken("lives for ever", issuer.token(exp=SEQ_MAX)),
        BadToken("ends before it begins", issuer.token(exp=now - 1)),
        BadToken("older than its key", issuer.token(iat=now - 100, exp=now + 10), UnknownKey),
        BadToken("the beginning of time", issuer.token(iat=0, nbf=0, exp=300), UnknownKey),
        BadToken("the end of time", issuer.token(iat=SEQ_MAX - 300, exp=SEQ_MAX), UnknownKey),
    ]


def _header(issuer: FakeIssuer) -> dict[str, str]:
    return {"alg": issuer.token_key.alg, "kid": issuer.token_key.kid, "typ": "at+jwt"}


def _signatures(issuer: FakeIssuer, good: bytes) -> list[BadToken]:
    header, payload, signature = good.split(b".")
    raw = base64url.decode(signature)
    other = issuer.token(sub="bob").encode().split(b".")
    renamed = SigningKey.from_private(SigningKey.generate("ES256").private, "ES256", kid=issuer.token_key.kid)
    signatures: dict[str, bytes] = {
        "zero": bytes(64),
        "psychic (CVE-2022-21449)": bytes(63) + b"\x01",
        "all ones": b"\xff" * 64,
        "short": raw[:-1],
        "long": raw + b"\0",
        "one byte": b"\0",
        "swapped halves": raw[32:] + raw[:32],
        "as large as a token may be": b"x" * 3_000,
        "of another token": base64url.decode(other[2]),
    }
    found = [
        BadToken(f"signature: {n}", b".".join((header, payload, base64url.encode(s))), BadSignature)
        for n, s in signatures.items()
    ]
    return [
        *found,
        BadToken("another payload", b".".join((header, other[1], signature)), BadSignature),
        BadToken("another key under its name", issuer.token(key=renamed), BadSignature),
        BadToken("an unknown key", issuer.token(key=SigningKey.generate("ES256")), UnknownKey),
        BadToken("the feed key", issuer.token(key=issuer.feed_key), UnknownKey),
        BadToken("the root key", issuer.token(key=issuer.root_key), UnknownKey),
    ]
