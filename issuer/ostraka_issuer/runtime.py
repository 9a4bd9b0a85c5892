"""One running issuer: every part of it built in order, and closed in the other."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ostraka_consumers.anchor import TrustAnchor
from ostraka_consumers.clock import Clock, SystemClock
from ostraka_consumers.verifier import Verifier
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.root import RootDocument

from . import failpoints
from .accounts.passwords import Passwords
from .accounts.users import Accounts
from .errors import SetupError
from .feed.role import FeedRole
from .home import Home
from .identifiers import RandomBytes
from .keys.files import KeyDirectory, KeyUse
from .keys.keeper import KeyKeeper
from .keys.ring import TokenKeys
from .keys.schedule import KeyPolicy
from .keys.vault import Vault
from .revocation import Revocations
from .sessions.refresh_token import RefreshTokens
from .sessions.service import Sessions
from .sessions.tokens import Minter
from .settings import OWN_AUDIENCE, IssuerSettings
from .store import Store, migrate

_log = logging.getLogger("ostraka.issuer")


@dataclass(frozen=True, slots=True)
class Issuer:
    """The parts of a running issuer."""

    settings: IssuerSettings
    anchor: TrustAnchor
    clock: Clock
    store: Store
    accounts: Accounts
    sessions: Sessions
    keys: TokenKeys
    keeper: KeyKeeper
    revocations: Revocations
    feed: FeedRole
    verifier: Verifier


@dataclass(frozen=True, slots=True)
class _Files:
    settings: IssuerSettings
    anchor: TrustAnchor
    root: RootDocument
    vault: Vault
    directory: KeyDirectory
    feed_key: SigningKey


@asynccontextmanager
async def open_issuer(
    settings: IssuerSettings,
    *,
    clock: Clock | None = None,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> AsyncIterator[Issuer]:
    """Run the issuer whose home ``settings`` names. It needs no broker to start.

    Raises:
        SetupError: the home, the keys or the settings cannot work; the message says what to do.
        StoreUnavailable, FeedError
        NotReady: the issuer's own verifier does not accept its feed.
    """
    clock = clock or SystemClock()
    failpoints.arm(settings.failpoint)
    files = await asyncio.to_thread(_open_files, settings)
    settings = files.settings
    async with AsyncExitStack() as stack:
        store = Store(Home(settings.home).database)
        stack.push_async_callback(store.close)
        passwords = Passwords(settings.password_profile)
        stack.push_async_callback(passwords.close)
        feed = FeedRole(store, files.feed_key, settings, epoch=files.root.epoch, clock=clock)
        await stack.enter_async_context(feed)
        verifier = Verifier(files.anchor, audience=OWN_AUDIENCE, sources=[feed.source], clock=clock)
        keys = _token_keys(files, store, clock, random_bytes)
        await keys.open()
        await stack.enter_async_context(verifier)
        keeper = KeyKeeper(keys)
        await keeper.start()
        stack.push_async_callback(keeper.stop)
        minter = Minter(
            keys, issuer=settings.issuer, lifetime=settings.token_lifetime, clock=clock, random_bytes=random_bytes
        )
        yield Issuer(
            settings=settings,
            anchor=files.anchor,
            clock=clock,
            store=store,
            accounts=Accounts(store, passwords, clock=clock, random_bytes=random_bytes),
            sessions=Sessions(
                store,
                passwords,
                minter,
                RefreshTokens(files.vault),
                issuer=settings.issuer,
                audiences=settings.audiences,
                client_id=settings.client_id,
                clock=clock,
                random_bytes=random_bytes,
                wake=feed.wake,
            ),
            keys=keys,
            keeper=keeper,
            revocations=Revocations(
                store,
                issuer=settings.issuer,
                longest_lifetime=files.root.limits.token_lifetime,
                clock=clock,
                random_bytes=random_bytes,
            ),
            feed=feed,
            verifier=verifier,
        )


def _token_keys(files: _Files, store: Store, clock: Clock, random_bytes: RandomBytes) -> TokenKeys:
    limits = files.root.limits
    policy = KeyPolicy(
        algorithm=files.settings.token_algorithm,
        token_lifetime=min(files.settings.token_lifetime, limits.token_lifetime),
        lead=files.settings.key_lead,
        lifetime=limits.token_key_lifetime,
        late=limits.late,
        keys_max=limits.token_keys,
    )
    return TokenKeys(
        store,
        files.directory,
        issuer=files.anchor.issuer,
        policy=policy,
        clock=clock,
        random_bytes=random_bytes,
    )


def _open_files(settings: IssuerSettings) -> _Files:
    home = Home(settings.home)
    home.require()
    anchor = TrustAnchor.load(home.anchor)
    root = home.read_root_document(anchor.root_thumbprints)
    settings = settle(settings, anchor, root, home.path)
    vault = Vault.load(home.secret)
    directory = KeyDirectory(home.keys, vault)
    named = {key.kid for key in root.feed_keys()}
    feed_kid = next((kid for kid in directory.names(KeyUse.FEED) if kid in named), None)
    if feed_kid is None:
        raise SetupError(f"{home.keys} holds none of the feed keys that {home.root} names")
    feed_key = directory.load(KeyUse.FEED, feed_kid)
    migrate(home.database)
    return _Files(settings, anchor, root, vault, directory, feed_key)


def settle(settings: IssuerSettings, anchor: TrustAnchor, root: RootDocument, home: Path) -> IssuerSettings:
    """The settings as the home bounds them: what was fixed when it was made holds, unless it is contradicted.

    Raises:
        SetupError: a setting that was given says otherwise.
    """
    fixed: dict[str, object] = {"issuer": anchor.issuer}
    if root.iss != anchor.issuer:
        raise SetupError(f"{home}: the root document is of another issuer than the anchor")
    if settings.token_algorithm not in root.limits.token_algorithms:
        fixed["token_algorithm"] = root.limits.token_algorithms[0]
    if settings.heartbeat_interval > root.limits.heartbeat_interval:
        fixed["heartbeat_interval"] = root.limits.heartbeat_interval
    for name, value in fixed.items():
        if name in settings.model_fields_set and getattr(settings, name) != value:
            raise SetupError(f"the home {home} was made with another {name}: {value}")
    return settings.model_copy(update=fixed)
