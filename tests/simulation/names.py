"""Keys and names, made once: it is not they that vary. Equal in every process, so that a seed tells the same story."""

from functools import cache
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ostraka_schemas import base64url
from ostraka_schemas.jwk import SigningKey

ISSUER: Final = "https://id.example"
AUDIENCE: Final = "orders"
SUBJECTS: Final = ("alice", "bob")
SESSIONS: Final = ("s1", "s2", "s3")
CLIENTS: Final = ("web", "cron")
PERMISSIONS: Final = ("orders:create", "orders:read", "orders:*", "*:read", "*:*", "reports:read")
ASKED: Final = ("orders:create", "orders:read", "reports:read", "orders:*", "*:*")
"""What every accepted token is asked for."""


@cache
def key(name: str) -> SigningKey:
    """The Ed25519 key of that name: ``root 1``, ``feed 1``, ``token 1``, ``thief``."""
    return SigningKey.from_private(Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest()), "EdDSA")


def identifier(number: int) -> str:
    """A 128-bit id, base64url."""
    return base64url.encode(number.to_bytes(16)).decode()
