"""The directory of private keys: one sealed file a key, ``<use>-<kid>.key``: the algorithm's name, a line feed, the
sealed key. A file is written once; only a change of the sealing secret replaces it.
"""

import os
from pathlib import Path
from typing import Final

from ostraka_consumers.persistence.files import sync_directory
from ostraka_issuer.errors import HomeError, KeyStoreError
from ostraka_issuer.home import write_file
from ostraka_schemas.jwk import SigningKey, is_kid

from .sealed import KeyUse, SealedKey, open_key, require_kid, seal_key
from .vault import Vault

_FILE_MAX_BYTES: Final = 8 * 1024  # an RSA key of 4,096 bits has 2.4 KiB


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
        self.put(seal_key(self._vault, use, key))

    def put(self, stored: SealedKey) -> None:
        """Store a sealed key, durably, in place of what has its name.

        Raises:
            KeyStoreError: it cannot be written.
        """
        try:
            path = self._file(stored.use, stored.kid)
            write_file(path, stored.alg.encode() + b"\n" + stored.sealed, mode=0o600)
        except HomeError as error:
            raise KeyStoreError(str(error)) from error

    def load(self, use: KeyUse, kid: str) -> SigningKey:
        """Open the key.

        Raises:
            KeyStoreError: not there, unreadable, sealed otherwise, or not the key its name says.
        """
        stored = self.get(use, kid)
        try:
            return open_key(self._vault, stored)
        except KeyStoreError as error:
            raise KeyStoreError(f"{self._file(use, kid)}: {error}") from error

    def get(self, use: KeyUse, kid: str) -> SealedKey:
        """The key as it lies there.

        Raises:
            KeyStoreError: not there, or unreadable.
        """
        path = self._file(use, kid)
        try:
            with path.open("rb") as file:
                data = file.read(_FILE_MAX_BYTES)
        except OSError as error:
            raise KeyStoreError(f"cannot read {path}: {error.strerror}") from error
        name, _, sealed = data.partition(b"\n")
        return SealedKey(use, kid, name.decode("ascii", "replace"), sealed)

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
        return self._path / f"{use}-{require_kid(kid)}.key"
