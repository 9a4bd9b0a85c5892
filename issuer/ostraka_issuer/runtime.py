"""One running issuer: every part of it built in order, and closed in the other."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ostraka_consumers.anchor import TrustAnchor
from ostraka_consumers.clock import Clock, SystemClock
from ostraka_consumers.verifier import Verifier
from ostraka_schemas.root import Limits, RootDocument

from . import failpoints
from .accounts.passwords import Passwords
from .accounts.users import Accounts
from .errors import HomeError, SetupError
from .feed.regime import key_in
from .feed.role import FeedRole
from .feed.roots import own_anchor, walk
from .feed.snapshot_role import SnapshotRole
from .home import Home
from .identifiers import RandomBytes
from .keys.keeper import KeyKeeper
from .keys.opening import open_key_store, open_vault
from .keys.ring import TokenKeys
from .keys.schedule import KeyPolicy
from .keys.stores import KeyStore
from .keys.vault import Vault
from .revocation import Revocations
from .sessions.refresh_token import RefreshTokens
from .sessions.service import Sessions
from .sessions.tokens import Minter
from .settings import OWN_AUDIENCE, IssuerSettings
from .store import Store, migrate, open_store
from .store.roots import StoredRoot, roots_in

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
    snapshots: SnapshotRole
    verifier: Verifier


@dataclass(frozen=True, slots=True)
class _Files:
    settings: IssuerSettings
    anchor: TrustAnchor
    own_anchor: TrustAnchor
    root: RootDocument
    root_in_feed: RootDocument | None
    vault: Vault


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
        store = open_store(settings)
        stack.push_async_callback(store.close)
        passwords = Passwords(settings.password_profile)
        stack.push_async_callback(passwords.close)
        key_store = open_key_store(settings, files.vault, store, clock=clock)
        open_key = key_in(key_store)
        feed_key = await store.work(lambda connection: open_key(files.root, connection))
        keys = _token_keys(files, store, key_store, clock, random_bytes)
        revocations = Revocations(
            store,
            issuer=settings.issuer,
            longest_lifetime=files.root.limits.token_lifetime,
            clock=clock,
            random_bytes=random_bytes,
        )

        def root_changed(root: RootDocument) -> None:
            keys.follow(_policy(settings, root.limits))
            revocations.follow(root.limits.token_lifetime)

        feed = FeedRole(
            store,
            feed_key,
            settings,
            epoch=files.root.epoch,
            root=files.root_in_feed,
            open_key=open_key,
            root_changed=root_changed,
            clock=clock,
        )
        await stack.enter_async_context(feed)
        verifier = Verifier(files.own_anchor, audience=OWN_AUDIENCE, sources=[feed.source], clock=clock)
        await keys.open()
        await stack.enter_async_context(verifier)
        snapshots = SnapshotRole(verifier.core, lambda: feed.regime, feed.signed_roots, store, settings, clock=clock)
        await snapshots.start()
        stack.push_async_callback(snapshots.stop)
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
            accounts=Accounts(store, passwords, issuer=settings.issuer, clock=clock, random_bytes=random_bytes),
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
            revocations=revocations,
            feed=feed,
            snapshots=snapshots,
            verifier=verifier,
        )


def _token_keys(files: _Files, store: Store, key_store: KeyStore, clock: Clock, random_bytes: RandomBytes) -> TokenKeys:
    return TokenKeys(
        store,
        key_store,
        issuer=files.anchor.issuer,
        policy=_policy(files.settings, files.root.limits),
        clock=clock,
        random_bytes=random_bytes,
    )


def _policy(settings: IssuerSettings, limits: Limits) -> KeyPolicy:
    wanted = settings.token_algorithm
    return KeyPolicy(
        algorithm=wanted if wanted in limits.token_algorithms else limits.token_algorithms[0],
        token_lifetime=min(settings.token_lifetime, limits.token_lifetime),
        lead=settings.key_lead,
        lifetime=limits.token_key_lifetime,
        late=limits.late,
        keys_max=limits.token_keys,
    )


def _open_files(settings: IssuerSettings) -> _Files:
    home = Home(settings.home)
    home.require(database=settings.database is None)
    _ = settings.kafka_security  # Reads its files here, where it may block; the copies made below keep it.
    anchor = TrustAnchor.load(home.anchor)
    migrate(settings)
    if home.root_key.exists():
        _log.warning("the root key still lies in %s: take it away, it has no business on this machine", home.root_key)
    stored = roots_in(settings)
    chain, in_feed = _chain(home, anchor, stored)
    root = in_feed or chain[0]
    settings = settle(settings, anchor, root, home.path)
    return _Files(settings, anchor, own_anchor(stored, anchor), root, in_feed, open_vault(settings))


def _chain(
    home: Home, anchor: TrustAnchor, stored: Sequence[StoredRoot]
) -> tuple[list[RootDocument], RootDocument | None]:
    """All root documents, verified from the anchor on, and the one that the feed has come to, if it has begun."""
    try:
        chain = walk(stored, anchor)
    except HomeError as error:
        raise HomeError(f"{home.path}: {error}") from error
    placed = {root.version for root in stored if root.position is not None}
    return chain, next((root for root in reversed(chain) if root.version in placed), None)


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
