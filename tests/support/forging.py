"""JWS made by hand, for what no honest signer would make."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import serialization

from ostraka_schemas import base64url, strict_json
from ostraka_schemas.jwk import SigningKey

Signer = Callable[[bytes], bytes]


def as_bytes(part: Any) -> bytes:
    """JSON, unless it is bytes already."""
    return part if isinstance(part, bytes) else strict_json.dumps(part)


def forge(header: Any, payload: Any, signature: Signer | bytes = b"x" * 64) -> bytes:
    """A compact JWS of whatever it is given: bytes as they are, anything else as JSON."""
    signing_input = b".".join(base64url.encode(as_bytes(part)) for part in (header, payload))
    made = signature if isinstance(signature, bytes) else signature(signing_input)
    return signing_input + b"." + base64url.encode(made)


def resign(header: Any, payload_segment: bytes, key: SigningKey) -> bytes:
    """A compact JWS around a payload segment that is not base64url of anything."""
    signing_input = base64url.encode(as_bytes(header)) + b"." + payload_segment
    return signing_input + b"." + base64url.encode(key.sign(signing_input))


def secrets_made_of(key: SigningKey) -> dict[str, bytes]:
    """The public key in every spelling that somebody may have taken for an HMAC secret."""
    public = key.private.public_key()
    pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    members = key.public.to_jwk()
    return {
        "PEM": public.public_bytes(pem, info),
        "PEM, stripped": public.public_bytes(pem, info).strip(),
        "DER": public.public_bytes(der, info),
        "JWK": strict_json.dumps(members),
        "x": base64url.decode_text(members.get("x", "")),
        "nothing": b"",
    }


def hmac_signer(secret: bytes, bits: int = 256) -> Signer:
    """Signs with HS256, HS384 or HS512."""
    return lambda signing_input: hmac.new(secret, signing_input, getattr(hashlib, f"sha{bits}")).digest()
