"""Client secrets: 256 bits that we made, shown once, kept as SHA-256.

A slow hash is for what people think up: nobody guesses 256 random bits, however fast they may try (NIST SP 800-63B
§5.1.2.2 asks for a salted slow hash only below 112 bits).
"""

import hmac
from hashlib import sha256
from typing import Final

from ostraka_issuer.identifiers import RandomBytes
from ostraka_issuer.limits import CLIENT_SECRET_MAX_CHARS
from ostraka_schemas import base64url

SECRET_BYTES: Final = 32


def new_secret(random_bytes: RandomBytes) -> str:
    """A fresh secret, 43 characters of base64url."""
    return base64url.encode(random_bytes(SECRET_BYTES)).decode()


def hash_secret(secret: str) -> bytes:
    """What is kept of a secret."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def secret_fits(stored: bytes | None, presented: str) -> bool:
    """Whether ``presented`` is the secret of which ``stored`` was kept. "No" takes as long."""
    kept = stored if stored is not None else bytes(SECRET_BYTES)
    same = hmac.compare_digest(kept, hash_secret(presented[: CLIENT_SECRET_MAX_CHARS + 1]))
    return same and stored is not None and len(presented) <= CLIENT_SECRET_MAX_CHARS
