"""Publishing a root document: checked as every verifier will, then committed. A running issuer takes it from there."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError

from ostraka_consumers.anchor import TrustAnchor
from ostraka_consumers.clock import Clock, SystemClock
from ostraka_consumers.trust.keyset import BeyondLimits, KeySet
from ostraka_issuer.errors import Conflict, HomeError, StoreUnavailable
from ostraka_issuer.feed.expiry import ends_at
from ostraka_issuer.feed.regime import key_in
from ostraka_issuer.feed.roots import walk
from ostraka_issuer.home import Home, write_file
from ostraka_issuer.identifiers import RandomBytes, new_id
from ostraka_issuer.keys.opening import open_key_store, open_vault
from ostraka_issuer.keys.stores import KeyStore
from ostraka_issuer.settings import IssuerSettings
from ostraka_issuer.store import Store, Transaction, migrate, open_store
from ostraka_issuer.store.intents import add_intent
from ostraka_issuer.store.keys import key_set, read_keys
from ostraka_issuer.store.roots import StoredRoot, insert_root, read_roots
from ostraka_schemas.errors import WireError
from ostraka_schemas.events import RootPublished
from ostraka_schemas.records import Position
from ostraka_schemas.root import RootDocument, root_bytes, verify_next_root
from ostraka_schemas.subjects import Uri

from .review import still_needed


@dataclass(frozen=True, slots=True)
class Published:
    """A committed root document: its ``txn`` names it on the feed.

    Attributes:
        new_anchor: the anchor of the home is another one than before.
    """

    document: RootDocument
    txn: str
    new_epoch: bool
    new_anchor: bool


class Chain:
    """The chain of one home.

    Attributes:
        home: where it is.
        settings: of the issuer.
        stored: every version, in order.
        documents: those that the anchor leads to, verified; the last one is the newest.
    """

    def __init__(
        self,
        settings: IssuerSettings,
        store: Store,
        stored: list[StoredRoot],
        documents: list[RootDocument],
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.home = Home(settings.home)
        self.stored = stored
        self.documents = documents
        self._store = store
        self._clock = clock

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock.now().wall

    @property
    def newest(self) -> RootDocument:
        """The newest document, in the feed or on its way there."""
        return self.documents[-1]

    def keys(self) -> KeyStore:
        """The private keys. Raises KeyStoreError if the sealing secret cannot be had."""
        return open_key_store(self.settings, open_vault(self.settings), self._store)

    async def publish(self, value: Mapping[str, Any], *, random_bytes: RandomBytes = secrets.token_bytes) -> Published:
        """Verify the next document and commit it, with the intent that brings it into the feed.

        If it opens an epoch, or changes the root keys or how many of them must sign, the anchor is renewed for services
        that are deployed from now on.

        Raises:
            Conflict: it does not follow the newest one, is not signed by enough, or cannot work; the message says why.
            KeyStoreError: the feed key that it names is not in this home.
            HomeError, StoreUnavailable
        """
        now = self.now
        document = self._verify(value, now)
        open_key = key_in(await asyncio.to_thread(self.keys))
        await self._store.work(lambda connection: open_key(document, connection))
        txn = new_id(random_bytes)
        try:
            async with self._store.announce() as tx:
                await _check_key_set(tx, document)
                await insert_root(tx, version=document.version, raw=root_bytes(value), txn=txn)
                event = RootPublished(payload=value["payload"], signatures=value["signatures"])
                await add_intent(tx, txn=txn, subject=Uri(uri=document.iss), event=event, now=now)
        except StoreUnavailable as error:
            if isinstance(error.__cause__, IntegrityError):
                raise Conflict(f"another version {document.version} was published at the same moment") from error
            raise
        new_epoch = document.epoch > self.newest.epoch
        new_anchor = new_epoch or document.root != self.newest.root
        if new_anchor:
            await asyncio.to_thread(self._renew_anchor, document)
        return Published(document, txn, new_epoch, new_anchor)

    def _verify(self, value: Mapping[str, Any], now: float) -> RootDocument:
        missing = None
        try:
            missing = still_needed(value, self.newest)
            document = verify_next_root(value, self.newest)
        except WireError as error:
            raise Conflict(f"no verifier would take it: {missing or error}") from error
        if ends_at(document) <= now:
            raise Conflict("no verifier would believe anything under it: it has ended already")
        return document

    def _renew_anchor(self, document: RootDocument) -> None:
        # Who has only the former file would follow the epoch before, if whoever holds its feed key shows him nothing
        # else; and who holds a root key that has left could show him a chain of his own.
        anchor = TrustAnchor(
            document.iss,
            tuple(key.thumbprint for key in document.root_keys()),
            Position(document.epoch, 0),
            document.root.threshold,
        )
        write_file(self.home.anchor, anchor.to_json() + b"\n", mode=0o644)


@asynccontextmanager
async def open_chain(settings: IssuerSettings, *, clock: Clock | None = None) -> AsyncIterator[Chain]:
    """The chain of the home of ``settings``, verified. No issuer needs to run; one that does, sees what is published.

    Raises:
        HomeError: there is no finished home, or its chain does not lead back to its anchor.
        SchemaError, StoreUnavailable
    """
    home = Home(settings.home)
    await asyncio.to_thread(home.require, database=settings.database is None)
    anchor = await asyncio.to_thread(TrustAnchor.load, home.anchor)
    await asyncio.to_thread(migrate, settings)
    store = open_store(settings)
    try:
        async with store.read() as tx:
            stored = await read_roots(tx)
        try:
            documents = walk(stored, anchor)
        except HomeError as error:
            raise HomeError(f"{home.path}: {error}") from error
        yield Chain(settings, store, stored, documents, clock or SystemClock())
    finally:
        await store.close()


async def _check_key_set(tx: Transaction, document: RootDocument) -> None:
    """Every verifier holds the token keys to the limits of the document: keys that break them would verify nothing."""
    try:
        KeySet().replaced_by(key_set(await read_keys(tx)).keys, document)
    except BeyondLimits as error:
        raise Conflict(f"the token keys in use do not keep within its limits: {error}") from error
