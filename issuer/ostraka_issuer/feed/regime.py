"""Under which root document the feed is signed, and with which key.

In the feed a root document is a record like any other, signed by a key that the document itself names. From that record
on, everything is signed so. If it opens an epoch, its record is the first of that epoch.
"""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection

from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.root import RootDocument, read_root_unverified, verify_next_root

from ..errors import KeyStoreError
from ..keys.sealed import KeyUse
from ..keys.stores import KeyStore


class InForce(NamedTuple):
    """What is in force, as everybody can know it.

    Attributes:
        epoch: of every record from now on.
        root: the root document; ``None`` while the feed has none.
    """

    epoch: int
    root: RootDocument | None = None

    @property
    def version(self) -> int:
        """Of the root document; 0 while there is none."""
        return 0 if self.root is None else self.root.version


class Regime(NamedTuple):
    """What is in force, as the process that signs needs it.

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

    @property
    def in_force(self) -> InForce:
        """The same for everybody else, without the key."""
        return InForce(self.epoch, self.root)

    def under(self, value: object, open_key: "OpenKey", connection: Connection) -> "Regime":
        """What is in force once the signed root document ``value`` is in the feed, as ``connection`` sees the keys.

        Raises:
            WireError: no verifier would take it as the next one.
            KeyStoreError: the key that it names is not here.
        """
        document = read_root_unverified(value) if self.root is None else verify_next_root(value, self.root)
        return Regime(document.epoch, open_key(document, connection), document)


OpenKey = Callable[[RootDocument, Connection], SigningKey]
"""Gives the private half of a feed key that a root document names, or raises KeyStoreError. May block. A store in the
database reads it through the connection, in the transaction that needs it."""


def key_in(keys: KeyStore) -> OpenKey:
    """Feed keys come from this store."""

    def open_key(document: RootDocument, connection: Connection) -> SigningKey:
        found = keys.find(connection, KeyUse.FEED, [key.kid for key in document.feed_keys()])
        if found is None:
            raise KeyStoreError(f"none of the feed keys that root document version {document.version} names is here")
        return found

    return open_key


def no_key(document: RootDocument, connection: Connection) -> SigningKey:  # noqa: ARG001 - as every OpenKey
    """There are no other feed keys."""
    raise KeyStoreError(f"there is no feed key for root document version {document.version}")
