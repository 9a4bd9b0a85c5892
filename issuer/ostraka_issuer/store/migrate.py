"""Bringing the database to this version's schema (Alembic; the steps lie in ``migrations/versions``)."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text

from ostraka_issuer.errors import SchemaError

NEWEST: Final = "head"
EMPTY: Final = "base"

MIGRATION_LOCK: Final = 0x6F7374_03
_ALONE: Final = text("SELECT pg_advisory_xact_lock(:key)").bindparams(key=MIGRATION_LOCK)


def bring_to(connection: Connection, revision: str = NEWEST) -> None:
    """Take the steps to ``revision``, up or down, within the connection's transaction. Blocks.

    Raises:
        SchemaError: the database was written by a newer version.
        DBAPIError: a step failed.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_ALONE)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        here = MigrationContext.configure(connection).get_current_revision() or EMPTY
        # Their names are numbers of four digits; an empty database comes before all, the newest after.
        is_down = revision == EMPTY or (revision != NEWEST and here != EMPTY and revision < here)
        (command.downgrade if is_down else command.upgrade)(config, revision)
    except CommandError as error:
        raise SchemaError(
            "the database has a schema that this version does not know; use the version that made it"
        ) from error
