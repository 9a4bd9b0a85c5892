"""The steps up and down, on both databases."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from ostraka_issuer.errors import SchemaError
from ostraka_issuer.settings import IssuerSettings, load_settings
from ostraka_issuer.store import migrate
from ostraka_issuer.store.opening import in_database
from ostraka_issuer.store.tables import METADATA, SESSIONS

STEPS = ["0001", "0002", "0003", "0004", "0005"]


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> IssuerSettings:
    """A database with nothing in it."""
    url = request.getfixturevalue("empty_postgres") if request.param == "postgresql" else None
    return load_settings(home=tmp_path, database=url)


both = pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)


def differences(connection: Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection), METADATA))


def columns(connection: Connection) -> dict[str, dict[str, str]]:
    inspector = inspect(connection)
    return {
        table: {column["name"]: f"{column['type']} {column['nullable']}" for column in inspector.get_columns(table)}
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


@both
def test_every_step_up_leads_where_the_step_down_leads_back_to(settings: IssuerSettings) -> None:
    on_the_way_up = []
    for step in STEPS:
        migrate(settings, step)
        on_the_way_up.append(in_database(settings, columns))
    assert in_database(settings, differences) == []
    assert set(on_the_way_up[-1]) == set(METADATA.tables)
    for step, expected in zip(STEPS[-2::-1], on_the_way_up[-2::-1], strict=True):
        migrate(settings, step)
        assert in_database(settings, columns) == expected
    migrate(settings, "base")
    assert in_database(settings, columns) == {}
    migrate(settings)
    assert in_database(settings, differences) == []


@both
def test_sessions_of_before_keep_the_client_they_were_opened_for(settings: IssuerSettings) -> None:
    migrate(settings, "0003")

    def fill(connection: Connection) -> None:
        # With the columns of that time.
        connection.execute(
            text(
                "INSERT INTO users (id, username, password_hash, disabled, created_at) VALUES ('u', 'u', 'x', false, 1)"
            )
        )
        for number, client in enumerate(("shop", "shop", "till")):
            session: dict[str, Any] = {"id": f"s{number}", "user_id": "u", "client_id": client, "audience": ["orders"]}
            session |= {"auth_time": 1, "created_at": 1.0, "used_at": 1.0, "generation": 1, "rotated_at": 1.0}
            connection.execute(SESSIONS.insert().values(session))

    in_database(settings, fill)
    migrate(settings)

    def clients(connection: Connection) -> list[Any]:
        return [tuple(row) for row in connection.execute(text("SELECT id, auth_method FROM clients ORDER BY id"))]

    assert in_database(settings, clients) == [("shop", "none"), ("till", "none")]


@both
def test_positions_and_times_go_beyond_32_bits(settings: IssuerSettings) -> None:
    migrate(settings)
    large = 2**53 - 1

    def there_and_back(connection: Connection) -> Any:
        record = {"epoch": 1, "seq": large, "hash": b"h", "raw": b"r", "txn": "t", "created_at": 1.5}
        connection.execute(METADATA.tables["feed_records"].insert().values(record))
        return connection.execute(text("SELECT max(seq) FROM feed_records")).scalar()

    assert in_database(settings, there_and_back) == large


@both
def test_several_processes_may_start_at_once(settings: IssuerSettings) -> None:
    migrate(settings, "0001")
    with ThreadPoolExecutor(3) as threads:
        for done in [threads.submit(migrate, settings) for _ in range(3)]:
            done.result()
    assert in_database(settings, differences) == []


@both
def test_a_newer_schema_is_left_alone(settings: IssuerSettings) -> None:
    migrate(settings)
    in_database(
        settings, lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    )
    with pytest.raises(SchemaError, match="does not know"):
        migrate(settings)


def test_sqlite_gives_no_id_twice(tmp_path: Path) -> None:
    migrate(load_settings(home=tmp_path))
    with sqlite3.connect(tmp_path / "ostraka.db") as connection:
        (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'intents'").fetchone()
    connection.close()
    assert "AUTOINCREMENT" in sql
