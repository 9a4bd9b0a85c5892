"""Under which root document the feed is signed, and with which key.

In the feed a root document is a record like any other, signed by a key that the document itself names. From that record
on, everything is signed so. If it opens an epoch, its record is the first of that epoch.
"""

from collections.abc import Callable
from typing import NamedTuple

from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.root import RootDocument, read_root_unverified, verify_next_root

from ..errors import KeyStoreError
from ..keys.files import KeyDirectory, KeyUse


class Regime(NamedTuple):
    """What is in force.

    Attributes:
        epoch: of every record from now on.
        key: L, the key that signs the feed.
        root: the root document; ``None`` while the feed has none.
    """

    epoch: int
    key: SigningKey
    root: RootDocument | None = None

    @property
    def version(self) -> int:
        """Of the root document; 0 while there is none."""
        return 0 if self.root is None else self.root.version

    def under(self, value: object, open_key: "OpenKey") -> "Regime":
        """What is in force once the signed root document ``value`` is in the feed.

        Raises:
            WireError: no verifier would take it as the next one.
            KeyStoreError: the key that it names is not here.
        """
        document = read_root_unverified(value) if self.root is None else verify_next_root(value, self.root)
        return Regime(document.epoch, open_key(document), document)


OpenKey = Callable[[RootDocument], SigningKey]
"""Gives the private half of a feed key that a root document names, or raises KeyStoreError. May block."""


def key_in(directory: KeyDirectory) -> OpenKey:
    """Feed keys come from this directory."""

    def open_key(document: RootDocument) -> SigningKey:
        here = directory.names(KeyUse.FEED)
        for key in document.feed_keys():
            if key.kid in here:
                return directory.load(KeyUse.FEED, key.kid)
        raise KeyStoreError(f"none of the feed keys that root document version {document.version} names is here")

    return open_key


def no_key(document: RootDocument) -> SigningKey:
    """There are no other feed keys."""
    raise KeyStoreError(f"there is no feed key for root document version {document.version}")
