"""What the process that writes the feed leaves in the database for the others: its lease, and its newest heartbeat."""

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, func, insert, literal_column, select

from ..store.tables import FEED_HEARTBEAT, FEED_LEASE
from .lease import FREE, Lease

_LEASE: Final = select(FEED_LEASE.c.holder, FEED_LEASE.c.fence, FEED_LEASE.c.until)
_BEAT: Final = select(FEED_HEARTBEAT.c.raw)
_JULIAN_1970: Final = 2_440_587.5
_DAY: Final = 86_400.0


def read_lease(connection: Connection) -> Lease:
    """The row as it is; free if there is none yet."""
    row = connection.execute(_LEASE).one_or_none()
    return FREE if row is None else Lease(row.holder, row.fence, row.until)


def write_lease(connection: Connection, lease: Lease) -> None:
    """Make the row so. The caller's transaction excludes every other that reads or writes it to act on it."""
    connection.execute(delete(FEED_LEASE))
    connection.execute(insert(FEED_LEASE).values(id=1, **lease._asdict()))


def database_time(connection: Connection) -> float:
    """Now, by the database's own clock, in seconds since the epoch."""
    return float(connection.execute(select(_clock(connection.dialect.name))).scalar_one())


def _clock(dialect: str) -> ColumnElement[Any]:
    if dialect == "sqlite":
        return (func.julianday("now") - _JULIAN_1970) * _DAY
    # Not now(), which is the time at which the transaction began: it may have waited for its turn since.
    return literal_column("extract(epoch from clock_timestamp())")


def read_beat(connection: Connection) -> bytes | None:
    """The newest heartbeat, as it travels."""
    raw = connection.execute(_BEAT).scalar()
    return None if raw is None else bytes(raw)


def write_beat(connection: Connection, raw: bytes) -> None:
    """Put ``raw`` in the place of the heartbeat that is there."""
    connection.execute(delete(FEED_HEARTBEAT))
    connection.execute(insert(FEED_HEARTBEAT).values(id=1, raw=raw))
