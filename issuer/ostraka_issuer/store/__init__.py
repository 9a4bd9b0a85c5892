"""The database: tables, migrations, transactions."""

from .engine import Store, Transaction
from .migrate import migrate

__all__ = ["Store", "Transaction", "migrate"]
