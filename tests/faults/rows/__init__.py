"""The rows of the table, a module for each kind of fault."""

from tests.faults.rows import (
    backups,
    brokers,
    channels,
    clocks,
    clusters,
    databases,
    disks,
    herds,
    keys,
    kills,
    limits,
    links,
    oversized,
    records,
    retention,
    soak,
    states,
    topics,
)
from tests.faults.rows.base import Row

ROWS: list[Row] = [
    *brokers.ROWS,
    *clusters.ROWS,
    *links.ROWS,
    *channels.ROWS,
    *clocks.ROWS,
    *disks.ROWS,
    *records.ROWS,
    *oversized.ROWS,
    *topics.ROWS,
    *retention.ROWS,
    *keys.ROWS,
    *kills.ROWS,
    *databases.ROWS,
    *backups.ROWS,
    *states.ROWS,
    *limits.ROWS,
    *herds.ROWS,
    *soak.ROWS,
]
