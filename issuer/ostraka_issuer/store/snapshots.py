"""The newest snapshot, a row for each part. There is one or none, and never half of one."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from ostraka_consumers.uninterrupted import uninterrupted
from ostraka_schemas.limits import SNAPSHOT_PARTS_MAX

from .engine import Store
from .tables import SNAPSHOT_PARTS


async def replace_snapshot(store: Store, parts: Sequence[bytes]) -> None:
    """Put ``parts`` in the place of whatever is there. Raises StoreUnavailable."""
    rows = [{"part": number, "raw": raw} for number, raw in enumerate(parts, start=1)]

    def replace(connection: Connection) -> None:
        connection.execute(delete(SNAPSHOT_PARTS))
        connection.execute(insert(SNAPSHOT_PARTS), rows)

    await store.work(replace)


async def read_snapshot(store: Store) -> list[bytes]:
    """The parts, in order; empty if there are none. Raises StoreUnavailable."""
    return await uninterrupted(_read(store))


async def _read(store: Store) -> list[bytes]:
    query = select(SNAPSHOT_PARTS.c.raw).order_by(SNAPSHOT_PARTS.c.part).limit(SNAPSHOT_PARTS_MAX)
    async with store.read() as transaction:
        return [bytes(raw) for raw in (await transaction.execute(query)).scalars()]
