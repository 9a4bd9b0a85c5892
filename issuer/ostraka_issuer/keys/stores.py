"""Where private keys are kept: what every store can do, and the one that is a directory of sealed files."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from sqlalchemy import Connection

from ostraka_issuer.store import Transaction
from ostraka_schemas.jwk import SigningKey

from .files import KeyDirectory
from .sealed import KeyUse, SealedKey


class KeyStore(Protocol):
    """Sealed private keys. Every method may raise KeyStoreError, and StoreUnavailable where a database keeps them."""

    async def save(self, use: KeyUse, key: SigningKey, tx: Transaction | None = None) -> None:
        """Store a new key, durably; with ``tx``, where a database keeps it. A KeyStoreError if its name is taken."""
        ...

    async def load(self, use: KeyUse, kid: str, tx: Transaction | None = None) -> SigningKey:
        """Open a key; within ``tx`` if there is one, so that a transaction never waits for a second connection."""
        ...

    async def names(self, use: KeyUse) -> tuple[str, ...]:
        """The kids of all stored keys of one use, sorted."""
        ...

    async def remove(self, use: KeyUse, kid: str) -> None:
        """Destroy a stored key; nothing happens if it is gone already."""
        ...

    def find(self, connection: Connection, use: KeyUse, kids: Iterable[str]) -> SigningKey | None:
        """The first of these keys that is here, opened in the transaction of ``connection``. Blocks."""
        ...

    async def sealed(self, use: KeyUse) -> tuple[SealedKey, ...]:
        """All keys of one use as they are stored, to be moved or sealed anew."""
        ...

    async def put(self, keys: Iterable[SealedKey]) -> None:
        """Store sealed keys as they are, in place of those that have their names."""
        ...


class DirectoryKeyStore:
    """Keys in a directory of this machine: for one process, or several that share the disk."""

    def __init__(self, directory: KeyDirectory) -> None:
        self._directory = directory

    async def save(self, use: KeyUse, key: SigningKey, tx: Transaction | None = None) -> None:  # noqa: ARG002
        """See ``KeyStore``."""
        await asyncio.to_thread(self._directory.save, use, key)

    async def load(self, use: KeyUse, kid: str, tx: Transaction | None = None) -> SigningKey:  # noqa: ARG002
        """See ``KeyStore``."""
        return await asyncio.to_thread(self._directory.load, use, kid)

    async def names(self, use: KeyUse) -> tuple[str, ...]:
        """See ``KeyStore``."""
        return await asyncio.to_thread(self._directory.names, use)

    async def remove(self, use: KeyUse, kid: str) -> None:
        """See ``KeyStore``."""
        await asyncio.to_thread(self._directory.remove, use, kid)

    def find(self, connection: Connection, use: KeyUse, kids: Iterable[str]) -> SigningKey | None:  # noqa: ARG002
        """See ``KeyStore``."""
        here = self._directory.names(use)
        return next((self._directory.load(use, kid) for kid in kids if kid in here), None)

    async def sealed(self, use: KeyUse) -> tuple[SealedKey, ...]:
        """See ``KeyStore``."""

        def read() -> tuple[SealedKey, ...]:
            return tuple(self._directory.get(use, kid) for kid in self._directory.names(use))

        return await asyncio.to_thread(read)

    async def put(self, keys: Iterable[SealedKey]) -> None:
        """See ``KeyStore``: each file is replaced whole or not at all; all of them together are not."""
        for key in keys:
            await asyncio.to_thread(self._directory.put, key)
