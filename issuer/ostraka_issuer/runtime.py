"""One running issuer: every part of it built in order, and closed in the other.

What a process does depends on its role. ``feed`` and ``all`` ask for the lease of the feed and write it while they have
it; ``api`` and ``all`` face HTTP with everything else. Every process follows the feed with a verifier of its own, and
shows it. Whoever writes the feed also moves the token keys along and makes the snapshots; that takes the place where
private keys are kept, which all processes share.
"""

import asyncio
import logging
import math
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from ostraka_consumers.anchor import TrustAnchor
from ostraka_consumers.clock import Clock, SystemClock
from ostraka_consumers.limits import READY_TIMEOUT
from ostraka_consumers.verifier import Verifier
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.root import Limits, RootDocument

from . import failpoints
from .accounts.clients import find_client, register_public_client
from .accounts.passwords import Passwords
from .accounts.strangers import Strangers
from .accounts.throttle import Throttle
from .accounts.users import Accounts
from .errors import NotFound
from .feed.regime import OpenKey, key_in
from .feed.role import FeedRole
from .feed.snapshot_role import SnapshotRole
from .happenings import NOBODY, Happenings
from .identifiers import RandomBytes
from .keys.keeper import KeyKeeper
from .keys.opening import open_key_store
from .keys.ring import TokenKeys
from .keys.schedule import KeyPolicy
from .keys.stores import KeyStore
from .oauth.server import AuthorizationServer, Parts
from .revocation import Revocations
from .sessions.refresh_token import RefreshTokens
from .sessions.service import Sessions
from .sessions.tokens import Minter
from .settings import OWN_AUDIENCE, IssuerSettings
from .startup import Files, open_files
from .store import Store, open_store

_log = logging.getLogger("ostraka.issuer")


@dataclass(frozen=True, slots=True)
class Issuer:
    """The parts of a running issuer."""

    settings: IssuerSettings
    anchor: TrustAnchor
    clock: Clock
    store: Store
    passwords: Passwords
    accounts: Accounts
    sessions: Sessions
    oauth: AuthorizationServer
    keys: TokenKeys
    keeper: KeyKeeper
    revocations: Revocations
    feed: FeedRole
    happenings: Happenings
    snapshots: SnapshotRole
    verifier: Verifier


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every part is built from."""

    files: Files
    store: Store
    clock: Clock
    random_bytes: RandomBytes
    happenings: Happenings

    @property
    def settings(self) -> IssuerSettings:
        return self.files.settings


@asynccontextmanager
async def open_issuer(
    settings: IssuerSettings,
    *,
    clock: Clock | None = None,
    random_bytes: RandomBytes = secrets.token_bytes,
    happenings: Happenings = NOBODY,
) -> AsyncIterator[Issuer]:
    """Run the issuer whose home ``settings`` names. It needs no broker to start.

    Raises:
        SetupError: the home, the keys or the settings cannot work; the message says what to do.
        StoreUnavailable, FeedError
        NotReady: the verifier of the process that writes the feed does not accept it.
    """
    failpoints.arm(settings.failpoint)
    files = await asyncio.to_thread(open_files, settings)
    async with AsyncExitStack() as stack:
        store = open_store(files.settings)
        stack.push_async_callback(store.close)
        desk = _Desk(files, store, clock or SystemClock(), random_bytes, happenings)
        key_store = open_key_store(desk.settings, files.vault, store, clock=desk.clock)
        keys, revocations = _token_keys(desk, key_store), _revocations(desk)

        def root_changed(root: RootDocument) -> None:
            keys.follow(_policy(desk.settings, root.limits))
            revocations.follow(root.limits.token_lifetime)

        feed = await stack.enter_async_context(await _feed(desk, key_in(key_store), root_changed))
        verifier = _verifier(desk, feed)
        await keys.open()
        await stack.enter_async_context(_following(verifier, wait=feed.writer is not None))
        yield await _open(stack, desk, keys, revocations, feed, verifier)


async def _open(
    stack: AsyncExitStack,
    desk: _Desk,
    keys: TokenKeys,
    revocations: Revocations,
    feed: FeedRole,
    verifier: Verifier,
) -> Issuer:
    await _know_own_client(desk)
    passwords = Passwords(desk.settings.password_profile)
    stack.push_async_callback(passwords.close)
    snapshots = _snapshots(desk, feed, verifier)
    await snapshots.start()
    stack.push_async_callback(snapshots.stop)
    keeper = KeyKeeper(keys, here=lambda: feed.writer is not None)
    await keeper.start()
    stack.push_async_callback(keeper.stop)
    sessions = _sessions(desk, passwords, keys)
    return Issuer(
        settings=desk.settings,
        anchor=desk.files.anchor,
        clock=desk.clock,
        store=desk.store,
        passwords=passwords,
        accounts=_accounts(desk, passwords),
        sessions=sessions,
        oauth=_oauth(desk, keys, sessions, revocations, verifier),
        keys=keys,
        keeper=keeper,
        revocations=revocations,
        feed=feed,
        happenings=desk.happenings,
        snapshots=snapshots,
        verifier=verifier,
    )


async def _know_own_client(desk: _Desk) -> None:
    """The client of logins that name none: a home may be older than clients are, or be given another name for it."""
    client_id = desk.settings.client_id
    async with desk.store.read() as tx:
        try:
            await find_client(tx, client_id, for_share=False)
        except NotFound:
            pass
        else:
            return
    async with desk.store.write() as tx:
        await register_public_client(tx, client_id, desk.clock.now().wall)


def _revocations(desk: _Desk) -> Revocations:
    return Revocations(
        desk.store,
        issuer=desk.settings.issuer,
        longest_lifetime=desk.files.root.limits.token_lifetime,
        clock=desk.clock,
        random_bytes=desk.random_bytes,
    )


async def _feed(desk: _Desk, open_key: OpenKey, root_changed: Callable[[RootDocument], None]) -> FeedRole:
    root = desk.files.root
    feed_key: SigningKey | None = None
    if desk.settings.role != "api":
        feed_key = await desk.store.work(lambda connection: open_key(root, connection))
    return FeedRole(
        desk.store,
        feed_key,
        desk.settings,
        epoch=root.epoch,
        root=desk.files.root_in_feed,
        open_key=open_key,
        root_changed=root_changed,
        clock=desk.clock,
        happenings=desk.happenings,
    )


def _verifier(desk: _Desk, feed: FeedRole) -> Verifier:
    # Where another process writes the feed, it may come later than this one.
    timeout = READY_TIMEOUT if feed.writer is not None else math.inf
    sources = [feed.source]
    return Verifier(
        desk.files.own_anchor, audience=OWN_AUDIENCE, sources=sources, clock=desk.clock, ready_timeout=timeout
    )


@asynccontextmanager
async def _following(verifier: Verifier, *, wait: bool) -> AsyncIterator[None]:
    """Run the verifier; with ``wait``, enter the block when it is ready. Until it is, it refuses."""
    starting = asyncio.create_task(verifier.start(), name="ostraka own verifier")
    starting.add_done_callback(_say_why)
    try:
        if wait:
            await starting
        yield
    finally:
        await verifier.stop()
        await asyncio.gather(starting, return_exceptions=True)


def _say_why(starting: "asyncio.Task[None]") -> None:
    if not starting.cancelled() and (error := starting.exception()) is not None:
        _log.warning("the issuer's own verifier did not start: %s", error)


def _snapshots(desk: _Desk, feed: FeedRole, verifier: Verifier) -> SnapshotRole:
    return SnapshotRole(
        verifier.core,
        lambda: None if feed.writer is None else feed.writer.regime,
        lambda: feed.in_force,
        feed.signed_roots,
        desk.store,
        desk.settings,
        clock=desk.clock,
        tenure=lambda: feed.writer,
    )


def _accounts(desk: _Desk, passwords: Passwords) -> Accounts:
    return Accounts(
        desk.store, passwords, issuer=desk.settings.issuer, clock=desk.clock, random_bytes=desk.random_bytes
    )


def _minter(desk: _Desk, keys: TokenKeys) -> Minter:
    return Minter(
        keys,
        issuer=desk.settings.issuer,
        lifetime=desk.settings.token_lifetime,
        clock=desk.clock,
        random_bytes=desk.random_bytes,
    )


def _sessions(desk: _Desk, passwords: Passwords, keys: TokenKeys) -> Sessions:
    settings = desk.settings
    return Sessions(
        desk.store,
        passwords,
        Throttle(desk.store, desk.files.vault, clock=desk.clock),
        Strangers(desk.store, passwords, desk.files.vault, clock=desk.clock, random_bytes=desk.random_bytes),
        _minter(desk, keys),
        RefreshTokens(desk.files.vault),
        issuer=settings.issuer,
        audiences=settings.audiences,
        client_id=settings.client_id,
        clock=desk.clock,
        random_bytes=desk.random_bytes,
    )


def _oauth(
    desk: _Desk, keys: TokenKeys, sessions: Sessions, revocations: Revocations, verifier: Verifier
) -> AuthorizationServer:
    parts = Parts(
        store=desk.store,
        minter=_minter(desk, keys),
        sessions=sessions,
        refresh_tokens=RefreshTokens(desk.files.vault),
        revocations=revocations,
        verifier=verifier,
        clock=desk.clock,
        random_bytes=desk.random_bytes,
    )
    return AuthorizationServer(parts, issuer=desk.settings.issuer)


def _token_keys(desk: _Desk, key_store: KeyStore) -> TokenKeys:
    return TokenKeys(
        desk.store,
        key_store,
        issuer=desk.files.anchor.issuer,
        policy=_policy(desk.settings, desk.files.root.limits),
        clock=desk.clock,
        random_bytes=desk.random_bytes,
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
