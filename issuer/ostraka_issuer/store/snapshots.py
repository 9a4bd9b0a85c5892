"""The newest snapshot, a row for each part. There is one or none, and never half of one."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from ostraka_consumers.uninterrupted import uninterrupted
from ostraka_schemas.limits import SNAPSHOT_PARTS_MAX

from .engine import Store
from .tables import SNAPSHOT_PARTS

_SIGNATURE_CHARS: Final = 86
"""Of an Ed25519 signature in base64url."""


async def replace_snapshot(store: Store, parts: Sequence[bytes]) -> None:
    """Put ``parts`` in the place of whatever is there. Raises StoreUnavailable."""
    rows = [{"part": number, "raw": raw} for number, raw in enumerate(parts, start=1)]

    def replace(connection: Connection) -> None:
        connection.execute(delete(SNAPSHOT_PARTS))
        connection.execute(insert(SNAPSHOT_PARTS), rows)

    await store.work(replace)


async def snapshot_mark(store: Store) -> bytes | None:
    """What tells the snapshot that is there from every other one, or ``None`` while there is none.

    It is the end of its first part, where the signature is. Raises StoreUnavailable.
    """
    return await uninterrupted(_mark(store))


async def _mark(store: Store) -> bytes | None:
    raw = SNAPSHOT_PARTS.c.raw
    query = select(func.substr(raw, func.length(raw) - _SIGNATURE_CHARS + 1)).where(SNAPSHOT_PARTS.c.part == 1)
    async with store.read() as transaction:
        found = (await transaction.execute(query)).scalar()
    return None if found is None else bytes(found)


async def read_snapshot(store: Store) -> list[bytes]:
    """The parts, in order; empty if there are none. Raises StoreUnavailable."""
    return await uninterrupted(_read(store))


async def _read(store: Store) -> list[bytes]:
    query = select(SNAPSHOT_PARTS.c.raw).order_by(SNAPSHOT_PARTS.c.part).limit(SNAPSHOT_PARTS_MAX)
    async with store.read() as transaction:
        return [bytes(raw) for raw in (await transaction.execute(query)).scalars()]
