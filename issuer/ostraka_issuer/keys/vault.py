"""Sealing: AES-256-GCM (NIST SP 800-38D) under one secret, from the environment or a file only its owner may read.

Sealed bytes are ``OSK1 || nonce || ciphertext and tag``. The nonce is random: 2^32 seals under one secret are allowed
(SP 800-38D §8.3), some thousand will ever be made. What is sealed is bound to its purpose through the associated data.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ostraka_issuer.errors import HomeError, KeyStoreError
from ostraka_issuer.home import write_file
from ostraka_issuer.identifiers import RandomBytes
from ostraka_issuer.limits import SECRET_FILE_MAX_BYTES
from ostraka_schemas import base64url
from ostraka_schemas.errors import MalformedError

SECRET_BYTES: Final = 32
_MAGIC: Final = b"OSK1"
_NONCE_BYTES: Final = 12


class Vault:
    """Seals and opens with one secret, and derives others from it. Never prints it."""

    def __init__(self, secret: bytes, random_bytes: RandomBytes = secrets.token_bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise KeyStoreError(f"the sealing secret has {SECRET_BYTES} bytes")
        self._secret = secret
        self._cipher = AESGCM(secret)
        self._random_bytes = random_bytes

    @classmethod
    def create(cls, path: Path, random_bytes: RandomBytes = secrets.token_bytes) -> "Vault":
        """Make a new secret and store it at ``path``, readable by its owner only.

        Raises:
            KeyStoreError: there is one already, or it cannot be written.
        """
        if path.exists():
            raise KeyStoreError(f"{path} is there already")
        vault = cls(random_bytes(SECRET_BYTES), random_bytes)
        vault.replace(path)
        return vault

    @classmethod
    def load(cls, path: Path, random_bytes: RandomBytes = secrets.token_bytes) -> "Vault":
        """Read the secret.

        Raises:
            KeyStoreError: it cannot be read, is not one, or others may read it too.
        """
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                text = file.read(SECRET_FILE_MAX_BYTES)
        except OSError as error:
            raise KeyStoreError(f"cannot read {path}: {error.strerror}") from error
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyStoreError(f"{path} is open to others than its owner; run: chmod 600 {path}")
        return cls.from_text(text.decode("ascii", "replace"), where=str(path), random_bytes=random_bytes)

    @classmethod
    def from_text(cls, text: str, *, where: str, random_bytes: RandomBytes = secrets.token_bytes) -> "Vault":
        """The vault under a secret written as base64url, ``where`` it was found.

        Raises:
            KeyStoreError: it is none.
        """
        try:
            return cls(base64url.decode_text(text.strip(), size=SECRET_BYTES), random_bytes)
        except MalformedError:
            raise KeyStoreError(f"{where} does not hold a sealing secret: 32 random bytes as base64url") from None

    def replace(self, path: Path) -> None:
        """Write this vault's secret to ``path``, in place of the one before.

        Raises:
            KeyStoreError: it cannot be written.
        """
        try:
            write_file(path, base64url.encode(self._secret) + b"\n", mode=0o600)
        except HomeError as error:
            raise KeyStoreError(str(error)) from error

    def seal(self, data: bytes, purpose: bytes) -> bytes:
        """Encrypt ``data``; it opens only for the same ``purpose``."""
        nonce = self._random_bytes(_NONCE_BYTES)
        return _MAGIC + nonce + self._cipher.encrypt(nonce, data, purpose)

    def open(self, sealed: bytes, purpose: bytes) -> bytes:
        """Decrypt what ``seal`` made.

        Raises:
            KeyStoreError: another secret, another purpose, or damaged.
        """
        start = len(_MAGIC) + _NONCE_BYTES
        if not sealed.startswith(_MAGIC) or len(sealed) < start:
            raise KeyStoreError("not something sealed here")
        try:
            return self._cipher.decrypt(sealed[len(_MAGIC) : start], sealed[start:], purpose)
        except InvalidTag as error:
            raise KeyStoreError("sealed with another secret, for another purpose, or damaged") from error

    def derive(self, purpose: str) -> bytes:
        """A 32-byte secret of its own for ``purpose`` (HKDF-SHA256, RFC 5869)."""
        return HKDF(algorithm=SHA256(), length=SECRET_BYTES, salt=None, info=purpose.encode()).derive(self._secret)

    def __repr__(self) -> str:
        return "Vault(…)"
