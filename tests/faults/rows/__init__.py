"""The rows of the table, a module for each kind of fault."""

from tests.faults.rows import brokers, links
from tests.faults.rows.base import Row

ROWS: list[Row] = [*brokers.ROWS, *links.ROWS]
