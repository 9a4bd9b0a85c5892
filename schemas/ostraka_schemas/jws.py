"""The strict JWS codec (RFC 7515): one spelling, one header, one algorithm a key.

Compact form, for tokens, feed records and heartbeats. Rules, in the order they are applied:

1. At most ``max_bytes``; three non-empty segments of base64url characters, no padding, no white space.
2. The protected header is a JSON object with exactly ``alg``, ``kid`` and ``typ``: so no ``crit``, ``b64``, ``jku``,
   ``jwk``, ``x5u``, ``x5c``, ``zip`` (RFC 8725 §3.1, §3.10).
3. ``typ`` is the one the caller expects (RFC 8725 §3.11), ``alg`` is one of ours.
4. The key is the one that ``kid`` names, and ``alg`` is that key's: the token never chooses.
5. The signature.

General JSON form, for root documents, which several keys sign: the same rules for each signature.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from . import base64url, strict_json
from .errors import MalformedError, SignatureMismatch
from .jwk import ALGORITHMS, SigningKey, VerificationKey, is_kid

TYP_ACCESS_TOKEN: Final = "at+jwt"  # noqa: S105 - a media type (RFC 9068 §2.1)
TYP_EVENT: Final = "secevent+jwt"  # RFC 8417 §2.3
TYP_ROOT: Final = "ostraka-root+jws"

_HEADER_NAMES: Final = frozenset({"alg", "kid", "typ"})
_SIGNATURE_MAX_CHARS: Final = 700  # 512 bytes of RSA-4096, base64url, and a little


class Header(NamedTuple):
    """A protected header that passed rule 2."""

    alg: str
    kid: str
    typ: str


class Compact(NamedTuple):
    """The three segments, still encoded, of something shaped like a compact JWS."""

    header: bytes
    payload: bytes
    signature: bytes

    @property
    def signing_input(self) -> bytes:
        """What the signature is over (RFC 7515 §5.2)."""
        return b"%b.%b" % (self.header, self.payload)


def split(raw: bytes, *, max_bytes: int) -> Compact:
    """Cut a compact JWS into its segments (rule 1).

    Raises:
        MalformedError: empty, too long, a foreign character, not three segments, an empty segment.
    """
    if len(raw) > max_bytes:
        raise MalformedError(f"longer than {max_bytes} bytes")
    if raw.translate(None, base64url.ALPHABET) != b"..":
        raise MalformedError("not three base64url segments joined by dots")
    compact = Compact(*raw.split(b"."))
    if not (compact.header and compact.payload and compact.signature):
        raise MalformedError("an empty segment")
    return compact


def read_header(segment: bytes, *, typ: str) -> Header:
    """Decode a protected header and apply rules 2 and 3.

    Raises:
        MalformedError: not exactly the three names, wrong types, a foreign ``alg``, another ``typ``.
    """
    members = strict_json.loads_object(base64url.decode(segment))
    if members.keys() != _HEADER_NAMES:
        raise MalformedError("the header must have exactly alg, kid and typ")
    if members["typ"] != typ:
        raise MalformedError(f"typ is not {typ}")
    if members["alg"] not in ALGORITHMS:
        raise MalformedError(f"alg is not one of {', '.join(ALGORITHMS)}")
    if not is_kid(members["kid"]):
        raise MalformedError("kid is not a short base64url name")
    return Header(**members)


def check(compact: Compact, header: Header, key: VerificationKey) -> None:
    """Apply rules 4 and 5.

    Raises:
        SignatureMismatch: ``alg`` or ``kid`` is not the key's, or the signature does not fit.
    """
    if header.alg != key.alg or header.kid != key.kid:
        raise SignatureMismatch("alg is not the one this key is bound to")
    if not key.verifies(compact.signing_input, base64url.decode(compact.signature)):
        raise SignatureMismatch("the signature does not fit")


def sign(payload: bytes, key: SigningKey, *, typ: str, max_bytes: int) -> bytes:
    """Make a compact JWS.

    Raises:
        MalformedError: the result would be longer than ``max_bytes``: no reader would take it.
    """
    signing_input = b"%b.%b" % (_encode_header(key, typ), base64url.encode(payload))
    raw = b"%b.%b" % (signing_input, base64url.encode(key.sign(signing_input)))
    if len(raw) > max_bytes:
        raise MalformedError(f"{len(raw)} bytes when signed, more than the {max_bytes} a reader takes")
    return raw


class GeneralSignature(NamedTuple):
    """One signature of a general JWS, encoded segments and the header read."""

    compact: Compact
    header: Header


class GeneralJws(NamedTuple):
    """A JWS in general JSON serialisation (RFC 7515 §7.2.1) that passed rules 1 to 3; no signature is checked yet."""

    payload: bytes
    signatures: tuple[GeneralSignature, ...]


def read_general(value: Any, *, typ: str, max_bytes: int, max_signatures: int) -> GeneralJws:
    """Read the parsed JSON of a general JWS.

    Raises:
        MalformedError: other members than ``payload`` and ``signatures``, too long, no or too many signatures, an
            unprotected header, the same ``kid`` twice, or rules 1 to 3 broken.
    """
    if not isinstance(value, dict) or value.keys() != {"payload", "signatures"}:
        raise MalformedError("a signed document has exactly payload and signatures")
    payload, entries = value["payload"], value["signatures"]
    if not isinstance(payload, str) or not isinstance(entries, list) or not 1 <= len(entries) <= max_signatures:
        raise MalformedError(f"a payload and 1 to {max_signatures} signatures are needed")
    signatures = tuple(_read_signature(payload, entry, typ=typ, max_bytes=max_bytes) for entry in entries)
    if len({signature.header.kid for signature in signatures}) != len(signatures):
        raise MalformedError("the same kid signs twice")
    return GeneralJws(base64url.decode_text(payload), signatures)


def sign_general(payload: bytes, keys: Iterable[SigningKey], *, typ: str) -> dict[str, Any]:
    """Make a general JWS with one signature a key; the result is ready to be written as JSON."""
    body = base64url.encode(payload)
    signatures = []
    for key in keys:
        protected = _encode_header(key, typ)
        signature = key.sign(b"%b.%b" % (protected, body))
        signatures.append({"protected": protected.decode(), "signature": base64url.encode(signature).decode()})
    return {"payload": body.decode(), "signatures": signatures}


def count_valid(document: GeneralJws, key_of: Callable[[str], VerificationKey | None]) -> int:
    """How many different keys, of those ``key_of`` knows by kid, have signed ``document`` (TUF §5.3.4)."""
    signers = set()
    for compact, header in document.signatures:
        key = key_of(header.kid)
        if key is None:
            continue
        try:
            check(compact, header, key)
        except (SignatureMismatch, MalformedError):
            continue
        signers.add(key.thumbprint)
    return len(signers)


def _read_signature(payload: str, entry: Any, *, typ: str, max_bytes: int) -> GeneralSignature:
    if not isinstance(entry, dict) or entry.keys() != {"protected", "signature"}:
        raise MalformedError("a signature has exactly protected and signature")
    protected, signature = entry["protected"], entry["signature"]
    if not isinstance(protected, str) or not isinstance(signature, str):
        raise MalformedError("protected and signature are strings")
    joined = f"{protected}.{payload}.{signature}".encode("utf-8", "replace")
    compact = split(joined, max_bytes=max_bytes + _SIGNATURE_MAX_CHARS)
    return GeneralSignature(compact, read_header(compact.header, typ=typ))


def _encode_header(key: SigningKey, typ: str) -> bytes:
    return base64url.encode(strict_json.dumps({"alg": key.alg, "kid": key.kid, "typ": typ}))
