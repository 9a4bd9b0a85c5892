"""The chain of root documents, each with its exact bytes. The one place where the issuer keeps them.

A document is written with the intent that brings it into the feed, and gets its place with that intent.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from ostraka_issuer.settings import IssuerSettings
from ostraka_schemas.limits import ROOT_VERSIONS_MAX
from ostraka_schemas.records import Position

from .engine import Transaction
from .opening import in_database
from .tables import ROOT_DOCUMENTS

_T = ROOT_DOCUMENTS.c


@dataclass(frozen=True, slots=True)
class StoredRoot:
    """A root document: its bytes as they travel, and its ``position`` once it is in the feed."""

    version: int
    raw: bytes
    position: Position | None


async def insert_root(tx: Transaction, *, version: int, raw: bytes, txn: str) -> None:
    """Write a document that the intent ``txn`` brings into the feed."""
    await tx.execute(insert(ROOT_DOCUMENTS).values(version=version, raw=raw, txn=txn))


async def read_roots(tx: Transaction) -> list[StoredRoot]:
    """All documents, in ascending order, those included that wait for their place."""
    return await tx.run_sync(stored_roots)


def stored_roots(connection: Connection) -> list[StoredRoot]:
    """The same, for a plain connection."""
    query = select(_T.version, _T.raw, _T.epoch, _T.seq).order_by(_T.version).limit(ROOT_VERSIONS_MAX)
    return [
        StoredRoot(row.version, row.raw, None if row.seq is None else Position(row.epoch, row.seq))
        for row in connection.execute(query).all()
    ]


def roots_in(settings: IssuerSettings) -> list[StoredRoot]:
    """The same, from the migrated database of ``settings``. Blocks.

    Raises:
        StoreUnavailable: it cannot be read.
    """
    return in_database(settings, stored_roots)


def newest_placed(connection: Connection) -> int:
    """The version that the feed has come to; 0 before the first."""
    query = select(_T.version).where(_T.seq.is_not(None)).order_by(_T.version.desc()).limit(1)
    return connection.execute(query).scalar() or 0


def raw_of(connection: Connection, version: int) -> bytes:
    """The bytes of one version, which is there."""
    return bytes(connection.execute(select(_T.raw).where(_T.version == version)).scalar_one())


def place_root(connection: Connection, txn: str, position: Position) -> None:
    """Write down where the document of ``txn`` stands in the feed."""
    change = update(ROOT_DOCUMENTS).where(_T.txn == txn)
    connection.execute(change.values(epoch=position.epoch, seq=position.seq))
