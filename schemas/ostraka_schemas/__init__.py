"""What travels between issuer, bus and verifiers: formats, names and bounds. No I/O."""

from .claims import AccessTokenClaims
from .errors import MalformedError, OstrakaError, SignatureMismatch, UnsupportedKeyError, WireError
from .jwk import SigningKey, VerificationKey
from .records import Head, Heartbeat, Position, Record
from .root import RootDocument

__all__ = [
    "AccessTokenClaims",
    "Head",
    "Heartbeat",
    "MalformedError",
    "OstrakaError",
    "Position",
    "Record",
    "RootDocument",
    "SignatureMismatch",
    "SigningKey",
    "UnsupportedKeyError",
    "VerificationKey",
    "WireError",
]
