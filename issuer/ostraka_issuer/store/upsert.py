"""``INSERT … ON CONFLICT``, which both databases spell alike and SQLAlchemy keeps apart."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from .engine import Transaction

Insert = postgresql.Insert | sqlite.Insert


def insert_into(tx: Transaction, table: Table, values: dict[str, Any] | Sequence[dict[str, Any]]) -> Insert:
    """An INSERT of one row or more, with the methods ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
    insert = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
    return insert(table).values(values)
