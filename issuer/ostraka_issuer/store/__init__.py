"""The database: tables, migrations, transactions, locks."""

from .engine import Store, Transaction
from .opening import migrate, open_store

__all__ = ["Store", "Transaction", "migrate", "open_store"]
