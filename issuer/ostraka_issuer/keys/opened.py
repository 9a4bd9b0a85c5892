"""The private token keys that this process has opened, and no others: what is spent is forgotten.

Several processes may work on one set of keys. What another one made is opened when it is needed; what another one
called compromised or destroyed is forgotten as soon as this one reads the rows again, which it does for every token.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from ostraka_issuer.errors import KeyStoreError, StoreUnavailable
from ostraka_issuer.store import Transaction
from ostraka_issuer.store.keys import TokenKeyRow
from ostraka_schemas.jwk import Algorithm, SigningKey

from .sealed import KeyUse
from .stores import KeyStore

MAY_SIGN: Final = ("active", "pre-activation")
"""States of keys that sign now or may soon."""

_log = logging.getLogger("ostraka.keys")
_FORGOTTEN: Final = ("compromised", "destroyed")


class OpenedKeys:
    """Opens, makes and forgets. Every method may raise KeyStoreError and StoreUnavailable."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._open: dict[str, SigningKey] = {}
        self._gone: set[str] = set()

    def __contains__(self, kid: str) -> bool:
        return kid in self._open

    async def get(self, kid: str, tx: Transaction | None = None) -> SigningKey:
        """The private half of a key; if it must be opened first, within ``tx``."""
        key = self._open.get(kid)
        if key is None:
            key = await self._store.load(KeyUse.TOKEN, kid, tx)
            self._open[kid] = key
        return key

    async def make(self, algorithm: Algorithm) -> SigningKey:
        """A new key, stored before anybody hears of it. A crash in between leaves a sealed key that nothing names."""
        key = await asyncio.to_thread(SigningKey.generate, algorithm)
        await self._store.save(KeyUse.TOKEN, key)
        self._open[key.kid] = key
        return key

    async def discard(self, key: SigningKey | None) -> None:
        """Destroy a new key, if there is one, that was not needed after all. Never raises: nobody knows of it."""
        if key is None:
            return
        self.forget(key.kid)
        try:
            await self._store.remove(KeyUse.TOKEN, key.kid)
        except (KeyStoreError, StoreUnavailable) as error:
            _log.warning("the new key %s, which nobody needs, is still in the store: %s", key.kid, error)

    async def open_all(self, rows: Iterable[TokenKeyRow]) -> None:
        """Open every key that may sign, so that a missing one shows now and not in a login."""
        for row in rows:
            if row.state in MAY_SIGN:
                await self.get(row.kid)

    def forget(self, kid: str) -> None:
        """Forget a key."""
        self._open.pop(kid, None)

    def forget_spent(self, rows: Iterable[TokenKeyRow]) -> None:
        """Forget what will never sign again."""
        for row in rows:
            if row.state in _FORGOTTEN:
                self.forget(row.kid)

    async def destroy_spent(self, rows: Iterable[TokenKeyRow]) -> None:
        """Remove the destroyed keys from the store, whoever decided it and whatever crashed before this."""
        destroyed = {row.kid for row in rows if row.state == "destroyed"} - self._gone
        if not destroyed:
            return
        for kid in destroyed.intersection(await self._store.names(KeyUse.TOKEN)):
            await self._store.remove(KeyUse.TOKEN, kid)
        self._gone |= destroyed
