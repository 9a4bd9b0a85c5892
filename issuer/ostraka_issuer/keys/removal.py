"""Moving private keys into the other store, and sealing them anew. For a home whose issuer stands still.

Both can be repeated: whatever was cut short, the next run finds each key where it is and goes on from there.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from ostraka_issuer.errors import Conflict, KeyStoreError
from ostraka_issuer.feed.lease import is_free
from ostraka_issuer.feed.rows import database_time, read_lease
from ostraka_issuer.home import Home
from ostraka_issuer.settings import IssuerSettings, KeyStoreName
from ostraka_issuer.store import Store, migrate, open_store

from .files import KeyDirectory
from .opening import given_secret, open_key_store, open_vault
from .sealed import KeyUse, SealedKey, open_key, reseal_key
from .stores import DirectoryKeyStore, KeyStore
from .vault import Vault

_ONLINE: Final = (KeyUse.FEED, KeyUse.TOKEN)
"""Keys that are used where the issuer runs. The root key of the dev profile stays in its home."""


async def move_keys(settings: IssuerSettings, to: KeyStoreName) -> tuple[str, ...]:
    """Bring feed and token keys into the store ``to``, and remove them from the other one once all of them open there.

    Returns:
        Their names, ``use-kid``; none if they were there already.

    Raises:
        Conflict: an issuer runs on this database.
        KeyStoreError: a key does not open; nothing was removed.
        StoreUnavailable
    """
    async with _standing_still(settings) as store:
        vault = await asyncio.to_thread(open_vault, settings)
        source = open_key_store(settings, vault, store, name="directory" if to == "database" else "database")
        target = open_key_store(settings, vault, store, name=to)
        if to == "directory":
            await asyncio.to_thread(_make_directory, Home(settings.home).keys, vault)
        found = [key for use in _ONLINE for key in await source.sealed(use)]
        for key in found:
            await asyncio.to_thread(open_key, vault, key)
        await target.put(found)
        for key in found:
            await target.load(key.use, key.kid)
        for key in found:
            await source.remove(key.use, key.kid)
        return tuple(f"{key.use}-{key.kid}" for key in found)


async def reseal_keys(settings: IssuerSettings, secret_file: Path) -> tuple[str, ...]:
    """Seal every private key with the secret in ``secret_file``. If the old one lies in the home, it is replaced there.

    Returns:
        The names of the keys, ``use-kid``.

    Raises:
        Conflict: an issuer runs on this database.
        KeyStoreError: a secret cannot be used, or a key opens with neither of the two.
        StoreUnavailable
    """
    async with _standing_still(settings) as store:
        old = await asyncio.to_thread(open_vault, settings)
        new = await asyncio.to_thread(Vault.load, secret_file)
        home = Home(settings.home)
        everything: list[tuple[KeyStore, Sequence[KeyUse]]] = [
            (open_key_store(settings, old, store), _ONLINE),
            (DirectoryKeyStore(KeyDirectory(home.keys, old)), (KeyUse.ROOT,)),
        ]
        done: list[str] = []
        for keys, uses in everything:
            resealed = [_resealed(key, old, new) for use in uses for key in await keys.sealed(use)]
            await keys.put(resealed)
            done += [f"{key.use}-{key.kid}" for key in resealed]
        if given_secret(settings) is None:
            await asyncio.to_thread(new.replace, home.secret)
        return tuple(done)


def _resealed(key: SealedKey, old: Vault, new: Vault) -> SealedKey:
    try:
        return reseal_key(key, old, new)
    except KeyStoreError:
        # A run before this one may have come so far.
        open_key(new, key)
        return key


def _make_directory(path: Path, vault: Vault) -> None:
    if not path.exists():
        KeyDirectory(path, vault).create()


@asynccontextmanager
async def _standing_still(settings: IssuerSettings) -> AsyncIterator[Store]:
    home = Home(settings.home)
    await asyncio.to_thread(home.require, database=settings.database is None)
    await asyncio.to_thread(migrate, settings)
    store = open_store(settings)
    try:
        free = await store.work(lambda connection: is_free(read_lease(connection), database_time(connection)))
        if not free:
            raise Conflict("an issuer runs on this database; stop every process of it first")
        yield store
    finally:
        await store.close()
