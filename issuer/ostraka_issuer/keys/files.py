"""The directory of private keys: one sealed file a key, ``<use>-<kid>.key``.

The seal is bound to use, kid and algorithm, so a file that is renamed does not open: a feed key can never become a
token key. A file is written once and never changed.
"""

import os
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from ostraka_consumers.persistence.files import sync_directory
from ostraka_issuer.errors import HomeError, KeyStoreError
from ostraka_issuer.home import write_file
from ostraka_schemas.errors import UnsupportedKeyError
from ostraka_schemas.jwk import ALGORITHMS, Algorithm, PrivateKey, SigningKey, is_kid

from .vault import Vault

_FILE_MAX_BYTES: Final = 8 * 1024  # an RSA key of 4,096 bits has 2.4 KiB


class KeyUse(StrEnum):
    """What a key signs; never two things."""

    ROOT = "root"
    FEED = "feed"
    TOKEN = "token"  # noqa: S105


class KeyDirectory:
    """Sealed private keys in ``path``. All of it blocks: call it from a thread."""

    def __init__(self, path: Path, vault: Vault) -> None:
        self._path = path
        self._vault = vault

    def create(self) -> None:
        """Make the directory, open to its owner only.

        Raises:
            KeyStoreError: it cannot be made, or is there already.
        """
        try:
            self._path.mkdir(mode=0o700)
            self._path.chmod(0o700)
            sync_directory(self._path.parent)
        except OSError as error:
            raise KeyStoreError(f"cannot make {self._path}: {error.strerror}") from error

    def save(self, use: KeyUse, key: SigningKey) -> None:
        """Store a new key, durably.

        Raises:
            KeyStoreError: a key of that name is there already, or it cannot be written.
        """
        path = self._file(use, key.kid)
        if path.exists():
            raise KeyStoreError(f"{path} is there already; a key file is never overwritten")
        plain = key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        sealed = self._vault.seal(plain, _purpose(use, key.kid, key.alg))
        try:
            write_file(path, key.alg.encode() + b"\n" + sealed, mode=0o600)
        except HomeError as error:
            raise KeyStoreError(str(error)) from error

    def load(self, use: KeyUse, kid: str) -> SigningKey:
        """Open the key.

        Raises:
            KeyStoreError: not there, unreadable, sealed otherwise, or not the key its name says.
        """
        path = self._file(use, kid)
        try:
            with path.open("rb") as file:
                data = file.read(_FILE_MAX_BYTES)
        except OSError as error:
            raise KeyStoreError(f"cannot read {path}: {error.strerror}") from error
        name, _, sealed = data.partition(b"\n")
        alg = _algorithm(name.decode("ascii", "replace"), path)
        try:
            plain = self._vault.open(sealed, _purpose(use, kid, alg))
        except KeyStoreError as error:
            raise KeyStoreError(f"{path}: {error}") from error
        key = _import(plain, alg, path)
        if key.kid != kid:
            raise KeyStoreError(f"{path} holds another key than its name says")
        return key

    def names(self, use: KeyUse) -> tuple[str, ...]:
        """The kids of all stored keys of one use, sorted.

        Raises:
            KeyStoreError: the directory cannot be read.
        """
        prefix = f"{use}-"
        try:
            found = [path.stem.removeprefix(prefix) for path in self._path.glob(f"{prefix}*.key")]
        except OSError as error:
            raise KeyStoreError(f"cannot read {self._path}: {error.strerror}") from error
        return tuple(sorted(kid for kid in found if is_kid(kid)))

    def remove(self, use: KeyUse, kid: str) -> None:
        """Destroy the stored key; nothing happens if it is gone already.

        Raises:
            KeyStoreError: it cannot be removed.
        """
        path = self._file(use, kid)
        try:
            size = path.stat().st_size
            # Overwriting first is all a program can do; a file system that copies on write keeps what it keeps.
            with path.open("r+b") as file:
                file.write(bytes(size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
            sync_directory(self._path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise KeyStoreError(f"cannot remove {path}: {error.strerror}") from error

    def _file(self, use: KeyUse, kid: str) -> Path:
        if not is_kid(kid):
            raise KeyStoreError("a kid has only A-Z a-z 0-9 - _")
        return self._path / f"{use}-{kid}.key"


def _purpose(use: KeyUse, kid: str, alg: str) -> bytes:
    return f"ostraka private key|{use}|{kid}|{alg}".encode()


def _algorithm(name: str, path: Path) -> Algorithm:
    for alg in ALGORITHMS:
        if alg == name:
            return alg
    raise KeyStoreError(f"{path} is not a key file")


def _import(plain: bytes, alg: Algorithm, path: Path) -> SigningKey:
    try:
        private: PrivateKey = load_der_private_key(plain, password=None)  # type: ignore[assignment]  # checked below
        return SigningKey.from_private(private, alg)
    except (ValueError, TypeError, UnsupportedKeyError) as error:
        raise KeyStoreError(f"{path} does not hold a usable key") from error
