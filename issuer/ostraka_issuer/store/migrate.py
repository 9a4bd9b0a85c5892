"""Bringing the database to this version's schema (Alembic; the steps lie in ``migrations/versions``)."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ostraka_issuer.errors import SchemaError, StoreUnavailable

from .engine import prepare


def migrate(path: Path) -> None:
    """Create the database, for its owner's eyes only, or bring it up to date, in one transaction. Blocks.

    Raises:
        SchemaError: it was written by a newer version.
        StoreUnavailable: it cannot be opened or written.
    """
    try:
        path.touch(mode=0o600)
    except OSError as error:
        raise StoreUnavailable(f"cannot open {path}: {error.strerror}") from error
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, execution_options={"ostraka_writes": True})
    prepare(engine)
    try:
        with engine.begin() as connection:
            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
            config.set_main_option("path_separator", "os")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise SchemaError(
            f"{path} has a schema that this version does not know; use the version that made it"
        ) from error
    except DBAPIError as error:
        raise StoreUnavailable(f"cannot migrate {path}: {error.orig}") from error
    finally:
        engine.dispose()
