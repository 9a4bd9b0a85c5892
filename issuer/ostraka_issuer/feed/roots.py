"""The chain of root documents: as it was signed, for whoever walks it; and which feed keys have signed an epoch."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ostraka_consumers.anchor import TrustAnchor
from ostraka_consumers.uninterrupted import uninterrupted
from ostraka_schemas.errors import SignatureMismatch, WireError
from ostraka_schemas.jwk import VerificationKey
from ostraka_schemas.root import (
    RootDocument,
    read_root_bytes,
    read_root_unverified,
    verify_first_root,
    verify_next_root,
)

from ..errors import HomeError
from ..store import Store
from ..store.roots import StoredRoot, read_roots
from .regime import Regime


class Voices(NamedTuple):
    """Whose words in the topic are the issuer's own.

    Attributes:
        epoch: what was said before it is over: whatever it was, verifiers no longer listen to it.
        keys: that have signed the feed in this epoch, by kid.
        root: the root document in force; ``None`` while the feed has none.
    """

    epoch: int
    keys: Mapping[str, VerificationKey]
    root: RootDocument | None = None


class Roots:
    """Questions about the stored chain. All methods raise StoreUnavailable if the database does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._signed: list[bytes] | None = None
        self._news = 0

    def told(self) -> None:
        """A root document has come into the feed."""
        self._signed = None
        self._news += 1

    async def signed_roots(self) -> list[bytes]:
        """Every root document that is in the feed, in ascending versions, as it travels."""
        if self._signed is not None:
            return self._signed
        news = self._news
        signed = [root.raw for root in await self._read() if root.position is not None]
        if news == self._news:
            self._signed = signed
        return signed

    async def waiting(self) -> bool:
        """Whether a root document was published that is not in the feed yet."""
        return any(root.position is None for root in await self._read())

    async def voices(self, regime: Regime) -> Voices:
        """Whose words the topic may hold while ``regime`` is in force."""
        documents = [_read(raw) for raw in await self.signed_roots()]
        keys = [key for document in documents if document.epoch == regime.epoch for key in document.feed_keys()]
        return Voices(regime.epoch, {key.kid: key for key in (*keys, regime.key.public)}, regime.root)

    async def _read(self) -> list[StoredRoot]:
        return await uninterrupted(self._transact())

    async def _transact(self) -> list[StoredRoot]:
        async with self._store.read() as tx:
            return await read_roots(tx)


def own_anchor(stored: Sequence[StoredRoot], anchor: TrustAnchor) -> TrustAnchor:
    """The anchor for the verifier that reads the issuer's own feed: it begins where the stored chain does.

    The one that services are deployed with is renewed with the root keys, and leads only to what was said since then.

    Raises:
        HomeError: the stored chain is not signed as it must be.
    """
    first = _read(stored[0].raw)
    thumbprints = tuple(key.thumbprint for key in first.root_keys())
    own = TrustAnchor(anchor.issuer, thumbprints, root_threshold=first.root.threshold)
    walk(stored, own)
    return own


def walk(stored: Sequence[StoredRoot], anchor: TrustAnchor) -> list[RootDocument]:
    """Verify the chain from a trust anchor on, as every verifier does.

    Args:
        stored: the documents in ascending versions.

    Returns:
        The documents from the first one on that the anchor leads to; never none.

    Raises:
        HomeError: the anchor leads to none, or a step is not signed as it must be.
    """
    chain: list[RootDocument] = []
    for root in stored:
        try:
            value = read_root_bytes(root.raw)
            chain.append(verify_next_root(value, chain[-1]) if chain else _first(value, anchor))
        except SignatureMismatch as error:
            if chain:
                raise HomeError(f"root document version {root.version}: {error}") from error
        except WireError as error:
            raise HomeError(f"root document version {root.version}: {error}") from error
    if not chain:
        raise HomeError("the database holds no root document with enough trusted signatures: whose anchor is this?")
    return chain


def _first(value: object, anchor: TrustAnchor) -> RootDocument:
    return verify_first_root(value, trusted=anchor.root_thumbprints, threshold=anchor.root_threshold)


def _read(raw: bytes) -> RootDocument:
    return read_root_unverified(read_root_bytes(raw))
