"""Private keys in the database: every process on it has them, so several may sign tokens or take over the feed."""

import asyncio
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_issuer.errors import KeyStoreError
from ostraka_issuer.store import Store, Transaction
from ostraka_issuer.store.tables import PRIVATE_KEYS
from ostraka_schemas.jwk import SigningKey

from .sealed import KeyUse, SealedKey, open_key, require_kid, seal_key
from .vault import Vault


class DatabaseKeyStore:
    """Keys in the table ``private_keys``: every process on the database has them."""

    def __init__(self, store: Store, vault: Vault, clock: Clock | None = None) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock or SystemClock()

    async def save(self, use: KeyUse, key: SigningKey, tx: Transaction | None = None) -> None:
        """See ``KeyStore``."""
        stored = seal_key(self._vault, use, key)
        if tx is not None:
            await self._insert(tx, stored)
        else:
            async with self._store.write() as own:
                await self._insert(own, stored)

    async def _insert(self, tx: Transaction, stored: SealedKey) -> None:
        if (await tx.execute(_query(stored.use, [stored.kid]))).one_or_none() is not None:
            raise KeyStoreError(f"the {stored.use} key {stored.kid} is there already; a key is never overwritten")
        await tx.execute(insert(PRIVATE_KEYS).values(self._row(stored)))

    async def load(self, use: KeyUse, kid: str, tx: Transaction | None = None) -> SigningKey:
        """See ``KeyStore``."""
        query = _query(use, [require_kid(kid)])
        if tx is not None:
            row = (await tx.execute(query)).one_or_none()
        else:
            async with self._store.read() as own:
                row = (await own.execute(query)).one_or_none()
        if row is None:
            raise KeyStoreError(f"cannot read the {use} key {kid}: it is not in the database")
        return await asyncio.to_thread(self._open, _stored(row))

    async def names(self, use: KeyUse) -> tuple[str, ...]:
        """See ``KeyStore``."""
        async with self._store.read() as tx:
            found = await tx.execute(select(PRIVATE_KEYS.c.kid).where(PRIVATE_KEYS.c.use == use))
            return tuple(sorted(found.scalars()))

    async def remove(self, use: KeyUse, kid: str) -> None:
        """See ``KeyStore``."""
        require_kid(kid)
        async with self._store.write() as tx:
            await tx.execute(delete(PRIVATE_KEYS).where(PRIVATE_KEYS.c.use == use, PRIVATE_KEYS.c.kid == kid))

    def find(self, connection: Connection, use: KeyUse, kids: Iterable[str]) -> SigningKey | None:
        """See ``KeyStore``."""
        wanted = list(kids)
        rows = {row.kid: row for row in connection.execute(_query(use, wanted))}
        return next((self._open(_stored(rows[kid])) for kid in wanted if kid in rows), None)

    async def sealed(self, use: KeyUse) -> tuple[SealedKey, ...]:
        """See ``KeyStore``."""
        async with self._store.read() as tx:
            rows = await tx.execute(select(PRIVATE_KEYS).where(PRIVATE_KEYS.c.use == use).order_by(PRIVATE_KEYS.c.kid))
            return tuple(_stored(row) for row in rows)

    async def put(self, keys: Iterable[SealedKey]) -> None:
        """See ``KeyStore``: all or none."""
        async with self._store.write() as tx:
            for key in keys:
                values = self._row(key)
                named = (PRIVATE_KEYS.c.use == key.use, PRIVATE_KEYS.c.kid == key.kid)
                changed = update(PRIVATE_KEYS).where(*named).values(alg=key.alg, sealed=key.sealed)
                if not (await tx.execute(changed)).rowcount:
                    await tx.execute(insert(PRIVATE_KEYS).values(values))

    def _open(self, stored: SealedKey) -> SigningKey:
        try:
            return open_key(self._vault, stored)
        except KeyStoreError as error:
            raise KeyStoreError(f"the {stored.use} key {stored.kid} in the database: {error}") from error

    def _row(self, stored: SealedKey) -> dict[str, object]:
        return {
            "use": stored.use.value,
            "kid": require_kid(stored.kid),
            "alg": stored.alg,
            "sealed": stored.sealed,
            "created_at": self._clock.now().wall,
        }


def _query(use: KeyUse, kids: list[str]) -> Select[Any]:
    return select(PRIVATE_KEYS).where(PRIVATE_KEYS.c.use == use.value, PRIVATE_KEYS.c.kid.in_(kids))


def _stored(row: Row[Any]) -> SealedKey:
    return SealedKey(KeyUse(row.use), row.kid, row.alg, row.sealed)
