"""Making a new home: keys, root document, trust anchor, database, and the first two things the feed will say."""

import asyncio
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, delete

from ostraka_consumers.anchor import TrustAnchor
from ostraka_consumers.clock import Clock, SystemClock
from ostraka_schemas.events import RootPublished
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.root import FEED_ALGORITHM, FeedRole, Limits, RootDocument, RootRole, root_bytes, sign_root
from ostraka_schemas.subjects import Uri

from .accounts.clients import register_public_client
from .errors import HomeError
from .home import Home, write_file
from .identifiers import RandomBytes, new_id
from .keys.files import KeyDirectory
from .keys.opening import make_vault, open_key_store
from .keys.schedule import KeyPolicy, new_row
from .keys.sealed import KeyUse
from .keys.vault import Vault
from .limits import KEY_LIFETIME, ROOT_LIFETIME
from .roots.keyfile import RootKeyFile, write_root_key
from .settings import IssuerSettings
from .store import migrate, open_store
from .store.intents import add_intent
from .store.keys import insert_key, key_set
from .store.opening import in_database
from .store.roots import insert_root, read_roots
from .store.tables import CLIENTS, INTENTS, PRIVATE_KEYS, ROOT_DOCUMENTS, TOKEN_KEYS


@dataclass(frozen=True, slots=True)
class NewHome:
    """A home just made, and the names of its keys."""

    home: Home
    anchor: TrustAnchor
    root_kid: str
    feed_kid: str
    token_kid: str


async def create_home(
    settings: IssuerSettings,
    *,
    root_key: RootKeyFile | None = None,
    clock: Clock | None = None,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> NewHome:
    """Make the home of ``settings``. The root key R signs alone (1 of 1).

    The anchor is written last: while it is missing, the home is not finished and nothing starts on it.

    Args:
        root_key: the file that R is written to, to be taken away; ``None`` keeps it beside the others, sealed.

    Raises:
        HomeError: something is there already, in the home or the database, or it cannot be written. What was begun is
            removed.
        KeyStoreError, StoreUnavailable
    """
    home = Home(settings.home)
    now = (clock or SystemClock()).now().wall
    await asyncio.to_thread(_claim, home.path)
    try:
        made = await asyncio.to_thread(_make_keys, settings, int(now))
        vault = await asyncio.to_thread(make_vault, settings, random_bytes=random_bytes)
        await asyncio.to_thread(KeyDirectory(home.keys, vault).create)
        await _write_database(settings, vault, made, now, random_bytes)
        try:
            # Last: whatever fails before, no root key is left somewhere.
            await asyncio.to_thread(_write_root_key, home, vault, made, root_key)
            anchor = TrustAnchor(settings.issuer, (made.root.kid,))
            await asyncio.to_thread(write_file, home.anchor, anchor.to_json() + b"\n", mode=0o644)
        except BaseException:
            await asyncio.to_thread(in_database, settings, _take_back)
            raise
    except BaseException:
        await asyncio.to_thread(_abandon, home.path)
        raise
    return NewHome(home, anchor, made.root.kid, made.feed.kid, made.token.kid)


@dataclass(frozen=True, slots=True)
class _Keys:
    signed_root: dict[str, object]
    root: SigningKey
    feed: SigningKey
    token: SigningKey


def _claim(path: Path) -> None:
    try:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        taken = any(path.iterdir())
    except OSError as error:
        raise HomeError(f"cannot make {path}: {error.strerror}") from error
    if taken:
        what = "is a home already" if Home(path).anchor.exists() else "is not empty"
        raise HomeError(f"{path} {what}; choose another with OSTRAKA_HOME, or remove it first")


def _abandon(path: Path) -> None:
    # The directory was empty when we began, so all of it is ours; it may be a mount point, so it stays.
    for entry in path.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _write_root_key(home: Home, vault: Vault, made: _Keys, root_key: RootKeyFile | None) -> None:
    if root_key is None:
        # Never into the database, which other machines share.
        KeyDirectory(home.keys, vault).save(KeyUse.ROOT, made.root)
    else:
        write_root_key(root_key, made.root)


def _make_keys(settings: IssuerSettings, now: int) -> _Keys:
    root, feed = SigningKey.generate(FEED_ALGORITHM), SigningKey.generate(FEED_ALGORITHM)
    token = SigningKey.generate(settings.token_algorithm)
    document = RootDocument(
        iss=settings.issuer,
        version=1,
        epoch=1,
        iat=now,
        exp=now + ROOT_LIFETIME,
        root=RootRole(keys=[root.public.to_jwk()], threshold=1),
        feed=FeedRole(keys=[feed.public.to_jwk()], exp=now + ROOT_LIFETIME),
        limits=Limits(
            token_algorithms=[settings.token_algorithm],
            token_key_lifetime=KEY_LIFETIME,
            heartbeat_interval=settings.heartbeat_interval,
        ),
    )
    return _Keys(sign_root(document, [root]), root, feed, token)


def _take_back(connection: Connection) -> None:
    # It held no issuer when we began, so all of these rows are ours.
    for table in (ROOT_DOCUMENTS, INTENTS, TOKEN_KEYS, CLIENTS, PRIVATE_KEYS):
        connection.execute(delete(table))


async def _write_database(
    settings: IssuerSettings, vault: Vault, made: _Keys, now: float, random_bytes: RandomBytes
) -> None:
    await asyncio.to_thread(migrate, settings)
    subject = Uri(uri=settings.issuer)
    policy = KeyPolicy(settings.token_algorithm, settings.token_lifetime, settings.key_lead)
    root_txn, keys_txn = new_id(random_bytes), new_id(random_bytes)
    row = new_row(made.token.public, policy, nbf=int(now), now=now, txn=keys_txn)
    store = open_store(settings)
    try:
        keys = open_key_store(settings, vault, store)
        async with store.write() as tx:
            if await read_roots(tx):
                raise HomeError("the database holds an issuer already; take another one, or empty it first")
            await keys.save(KeyUse.FEED, made.feed, tx)
            await keys.save(KeyUse.TOKEN, made.token, tx)
            # The root document opens the feed: it names the key that signs every record, this one included.
            await insert_root(tx, version=1, raw=root_bytes(made.signed_root), txn=root_txn)
            await add_intent(
                tx, txn=root_txn, subject=subject, event=RootPublished.model_validate(made.signed_root), now=now
            )
            await register_public_client(tx, settings.client_id, now)
            await insert_key(tx, row)
            await add_intent(tx, txn=keys_txn, subject=subject, event=key_set([row]), now=now)
    finally:
        await store.close()
