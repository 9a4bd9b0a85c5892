"""A root key in a file that is taken away: PEM, PKCS #8 (RFC 5958, RFC 7468), readable by its owner only.

With a passphrase it is encrypted (PBES2, RFC 8018). The database never sees it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ostraka_issuer.errors import HomeError, KeyStoreError
from ostraka_issuer.home import write_file
from ostraka_schemas.errors import UnsupportedKeyError
from ostraka_schemas.jwk import PrivateKey, SigningKey
from ostraka_schemas.root import FEED_ALGORITHM

_FILE_MAX_BYTES: Final = 8 * 1024
_ENCRYPTED: Final = b"ENCRYPTED"


@dataclass(frozen=True, slots=True)
class RootKeyFile:
    """Where a new root key goes, and what it is encrypted with, if anything."""

    path: Path
    passphrase: bytes | None = field(default=None, repr=False)


def write_root_key(file: RootKeyFile, key: SigningKey) -> None:
    """Write a new file.

    Raises:
        KeyStoreError: something is there already, or it cannot be written.
    """
    if file.path.exists():
        raise KeyStoreError(f"{file.path} is there already; a key file is never overwritten")
    encryption: KeySerializationEncryption = NoEncryption()
    if file.passphrase:
        encryption = BestAvailableEncryption(file.passphrase)
    try:
        write_file(file.path, key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), mode=0o600)
    except HomeError as error:
        raise KeyStoreError(str(error)) from error


def is_encrypted(path: Path) -> bool:
    """Whether the file asks for a passphrase.

    Raises:
        KeyStoreError: it cannot be read.
    """
    return _ENCRYPTED in _read(path).partition(b"\n")[0]


def read_root_key(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """Open the key; a passphrase that is not needed is not used.

    Raises:
        KeyStoreError: unreadable, no root key, or the passphrase is missing or wrong.
    """
    text = _read(path)
    encrypted = _ENCRYPTED in text.partition(b"\n")[0]
    if encrypted and not passphrase:
        raise KeyStoreError(f"{path} is encrypted: its passphrase is needed")
    try:
        private: PrivateKey = load_pem_private_key(text, passphrase if encrypted else None)  # type: ignore[assignment]
        return SigningKey.from_private(private, FEED_ALGORITHM)
    except (ValueError, TypeError, UnsupportedAlgorithm, UnsupportedKeyError) as error:
        what = "the passphrase is wrong, or it" if encrypted else "it"
        raise KeyStoreError(f"{path}: {what} is no root key (Ed25519, PKCS #8, PEM)") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_FILE_MAX_BYTES)
    except OSError as error:
        raise KeyStoreError(f"cannot read {path}: {error.strerror}") from error
