"""Mutations that know what a compact JWS is made of. None of them holds a key that is believed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from ostraka_schemas import base64url, strict_json
from ostraka_schemas.jwk import SigningKey
from tests.corpora.headers import KIDS, bad_headers
from tests.fuzzing.keys import FALSE_KEYS
from tests.fuzzing.texts import odd_text, value
from tests.support.forging import hmac_signer, secrets_made_of

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256: signatures made of it, of zero and of one have been taken for good ones (CVE-2022-21449)."""

_WORDS = tuple(number.to_bytes(32) for number in (0, 1, _ORDER - 1, _ORDER, _ORDER + 1, 2**256 - 1))
_TYPES = ("at+jwt", "secevent+jwt", "ostraka-root+jws", "JWT", "AT+JWT", "application/at+jwt", "", None)
_ALGORITHMS = ("ES256", "EdDSA", "PS256", "RS256", "HS256", "none", "None", "", None, ["ES256"])


@dataclass(frozen=True)
class Signed:
    """An original, taken apart."""

    raw: bytes
    segments: tuple[bytes, bytes, bytes]
    header: dict[str, Any]
    members: dict[str, Any]
    key: SigningKey

    @classmethod
    def of(cls, raw: bytes, key: SigningKey) -> "Signed":
        header, payload, signature = raw.split(b".")
        said, members = (strict_json.loads_object(base64url.decode(segment)) for segment in (header, payload))
        return cls(raw, (header, payload, signature), said, members, key)


Envelope = Callable[[Random, Signed, Sequence[Signed]], bytes]


def swap_segments(chance: Random, one: Signed, _all: Sequence[Signed]) -> bytes:
    segments = list(one.segments)
    match chance.randrange(4):
        case 0:
            chance.shuffle(segments)
        case 1:
            segments.insert(chance.randint(0, 3), chance.choice([*segments, b"", b"e30"]))
        case 2:
            segments[chance.randrange(3)] = chance.choice([b"", b"e30", b"A", b"AA", *segments])
        case _:
            del segments[chance.randrange(3)]
    return chance.choice([b".", b".", b".", b"..", b"", b" ."]).join(segments)


def splice(chance: Random, one: Signed, all_: Sequence[Signed]) -> bytes:
    other = chance.choice(all_)
    if chance.random() < 0.5:
        return b".".join(chance.choice([a, b]) for a, b in zip(one.segments, other.segments, strict=True))
    at = chance.randrange(1, len(one.raw))
    return one.raw[:at] + other.raw[chance.choice([at, chance.randrange(len(other.raw))]) :]


def respell(chance: Random, one: Signed, _all: Sequence[Signed]) -> bytes:
    """The same bytes in another spelling of base64, or in something that is none."""
    segments, at = list(one.segments), chance.randrange(3)
    segment = segments[at]
    place = chance.randint(0, len(segment))
    match chance.randrange(7):
        case 0:
            segment += b"=" * chance.randint(1, 3)
        case 1:
            segment = segment.replace(b"-", b"+").replace(b"_", b"/") if chance.random() < 0.5 else segment + b"/"
        case 2:
            segment = segment[:place] + chance.choice([b"\n", b" ", b"\r\n", b"\t", b"\0", b"\x0c"]) + segment[place:]
        case 3:
            segment = segment[:-1] + chance.choice([b"A", b"B", b"Q", b"g", b"w", b"_", b"-", b"0"])
        case 4:
            segment += chance.choice([b"A", b"AA", b"AAAA", b"."])
        case 5:
            segment = segment.replace(b"A", b"%41", 1) if b"A" in segment else b"%41" + segment
        case _:
            segment = segment[:place] + chance.choice(["é", "١", "\u200b", "\ufeff", "Ａ"]).encode() + segment[place:]
    segments[at] = segment
    return b".".join(segments)


def edit_header(chance: Random, one: Signed, _all: Sequence[Signed]) -> bytes:
    header: Any = dict(one.header)
    match chance.randrange(6):
        case 0:
            header["alg"] = chance.choice(_ALGORITHMS)
        case 1:
            header["kid"] = chance.choice([*KIDS, *(key.kid for key in FALSE_KEYS)])
        case 2:
            header["typ"] = chance.choice(_TYPES)
        case 3:
            header = odd_text(chance, header)
        case 4:
            header[chance.choice(["alg", "kid", "typ", "crit", "b64", "zip", "x"])] = value(chance)
        case _:
            header = chance.choice(_headers(one))
    text = header if isinstance(header, bytes) else strict_json.dumps(header)
    return _signed_by_others(chance, base64url.encode(text) + b"." + one.segments[1], one)


_HEADERS: dict[str, list[Any]] = {}


def _headers(one: Signed) -> list[Any]:
    if one.key.kid not in _HEADERS:
        _HEADERS[one.key.kid] = list(bad_headers(one.header).values())
    return _HEADERS[one.key.kid]


def edit_payload(chance: Random, one: Signed, _all: Sequence[Signed]) -> bytes:
    if chance.random() < 0.5:
        payload = odd_text(chance, one.members)
    else:
        payload = strict_json.dumps({**one.members, chance.choice([*one.members, "x"]): value(chance)})
    return _signed_by_others(chance, one.segments[0] + b"." + base64url.encode(payload), one)


def edit_signature(chance: Random, one: Signed, all_: Sequence[Signed]) -> bytes:
    raw = base64url.decode(one.segments[2])
    made = chance.choice(
        [
            *(raw[32:] + raw[:32], raw[:-1], raw + b"\0", b"\0" + raw, raw[::-1], bytes(len(raw))),
            *(chance.choice(_WORDS) + chance.choice(_WORDS), raw[:32] + chance.choice(_WORDS), b"\0"),
            *(chance.choice(_WORDS) + raw[32:], b"\x30\x44\x02\x20" + raw[:32] + b"\x02\x20" + raw[32:]),
            *(chance.randbytes(len(raw)), chance.randbytes(chance.randint(1, 700))),
            base64url.decode(chance.choice(all_).segments[2]),
        ]
    )
    return b".".join((*one.segments[:2], base64url.encode(made)))


def sign_falsely(chance: Random, one: Signed, _all: Sequence[Signed]) -> bytes:
    """The original's content and the original's header, but for the key."""
    key = chance.choice(FALSE_KEYS)
    header = {**one.header, **chance.choice([{}, {"kid": key.kid}, {"alg": key.alg}, {"alg": key.alg, "kid": key.kid}])}
    signing_input = base64url.encode(strict_json.dumps(header)) + b"." + one.segments[1]
    return signing_input + b"." + base64url.encode(key.sign(signing_input))


def _signed_by_others(chance: Random, signing_input: bytes, one: Signed) -> bytes:
    """With the signature that there was, none, one by another's key, or a MAC keyed with what everybody knows."""
    lot = chance.random()
    if lot < 0.4:
        return signing_input + b"." + one.segments[2]
    if lot < 0.5:
        return signing_input + b"."
    if lot < 0.8:
        return signing_input + b"." + base64url.encode(chance.choice(FALSE_KEYS).sign(signing_input))
    secret = chance.choice(_secrets(one.key))
    return signing_input + b"." + base64url.encode(hmac_signer(secret, chance.choice([256, 384, 512]))(signing_input))


_SECRETS: dict[str, list[bytes]] = {}


def _secrets(key: SigningKey) -> list[bytes]:
    if key.kid not in _SECRETS:
        _SECRETS[key.kid] = list(secrets_made_of(key).values())
    return _SECRETS[key.kid]


ENVELOPES: tuple[Envelope, ...] = (
    *(swap_segments, splice, respell, edit_header, edit_header),
    *(edit_payload, edit_payload, edit_signature, sign_falsely),
)
