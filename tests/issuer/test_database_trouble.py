"""The database is locked, read-only, full or gone: 503 with Retry-After, nothing half done, and well again by itself.

What a failing or full disk does is shown by the rows of the fault table (F8).
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import event, func, select
from sqlalchemy.engine.interfaces import DBAPIConnection

from ostraka_issuer.store import postgres_link
from ostraka_issuer.store.sqlite import SqliteStore
from ostraka_issuer.store.tables import INTENTS, SESSIONS
from tests.issuer.feed.world import until
from tests.issuer.front import Desk, open_desk
from tests.issuer.world import PASSWORD
from tests.postgres.admin import execute
from tests.postgres.fixtures import OwnPostgres
from tests.postgres.system import SystemPostgres

Trouble = Callable[[], AbstractContextManager[None]]
REVOCATION = {"kind": "token", "jti": "a-token"}
WAIT = 0.5


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction waits half a second for its turn."""
    for module in ("sqlite", "engine", "postgres_link"):
        monkeypatch.setattr(f"ostraka_issuer.store.{module}.DATABASE_WAIT", WAIT)
    monkeypatch.setitem(postgres_link._SESSION, "lock_timeout", f"{WAIT * 1000:.0f}")


async def ask(desk: Desk, bearer: dict[str, str], tokens: dict[str, Any]) -> list[httpx.Response]:
    """Everything that would change something."""
    return [
        await desk.client.post("/login", json={"username": "alice", "password": PASSWORD}),
        await desk.client.post("/admin/revocations", json=REVOCATION, headers=bearer),
        await desk.refresh(tokens["refresh_token"]),
    ]


async def counts(desk: Desk) -> tuple[int, int]:
    """How many sessions and intents there are."""
    async with desk.issuer.store.read() as tx:
        sessions = (await tx.execute(select(func.count()).select_from(SESSIONS))).scalar_one()
        return sessions, (await tx.execute(select(func.count()).select_from(INTENTS))).scalar_one()


async def judge(desk: Desk, trouble: Trouble) -> None:
    """Ask in trouble, and after it: refused without a trace, then done."""
    tokens, bearer = await desk.login("alice"), await desk.bearer()
    before = await counts(desk)
    with trouble():
        for answer in await ask(desk, bearer, tokens):
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) > 0
        ready = await desk.client.get("/readyz")
        assert ready.status_code == 503
        assert any(reason.startswith("database: ") for reason in ready.json()["reasons"])
    await until(lambda: _is_ready(desk), "ready again, by itself")
    assert await counts(desk) == before
    for answer in await ask(desk, bearer, tokens):
        assert answer.status_code == 200, answer.text


async def _is_ready(desk: Desk) -> bool:
    return (await desk.client.get("/readyz")).status_code == 200


async def test_a_sqlite_file_that_another_process_has_locked(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:

        @contextmanager
        def locked() -> Iterator[None]:
            other = sqlite3.connect(desk.issuer.settings.home / "ostraka.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                other.execute("ROLLBACK")
                other.close()

        await judge(desk, locked)


async def test_a_sqlite_file_that_may_only_be_read(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        store = desk.issuer.store
        assert isinstance(store, SqliteStore)
        engines = store._engine.sync_engine, store._thread_engine
        setting = "OFF"

        def taken(connection: DBAPIConnection, _record: object, _proxy: object) -> None:
            # Before its transaction begins: a connection that may only read does not begin one that writes.
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA query_only = {setting}")
            cursor.close()

        for engine in engines:
            event.listen(engine, "checkout", taken)

        @contextmanager
        def read_only() -> Iterator[None]:
            nonlocal setting
            setting = "ON"
            try:
                yield
            finally:
                setting = "OFF"

        await judge(desk, read_only)


async def test_a_sqlite_file_that_is_gone(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        database = desk.issuer.settings.home / "ostraka.db"

        @contextmanager
        def gone() -> Iterator[None]:
            aside = database.rename(tmp_path / "aside.db")
            try:
                yield
            finally:
                assert not database.exists(), "nobody makes another one in its place"
                aside.rename(database)

        await judge(desk, gone)


@pytest.fixture
def server(own_postgres: OwnPostgres) -> SystemPostgres:
    return own_postgres()


async def test_a_postgresql_server_that_is_gone(server: SystemPostgres, tmp_path: Path) -> None:
    async with open_desk(tmp_path, database=server.url) as desk:

        @contextmanager
        def gone() -> Iterator[None]:
            server.crash()
            try:
                yield
            finally:
                server.restart()

        await judge(desk, gone)


async def test_a_postgresql_server_that_may_only_be_read(server: SystemPostgres, tmp_path: Path) -> None:
    async with open_desk(tmp_path, database=server.url) as desk:

        @contextmanager
        def read_only() -> Iterator[None]:
            execute(server.url, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
            try:
                yield
            finally:
                execute(server.url, "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")

        await judge(desk, read_only)


async def test_a_postgresql_database_whose_tables_another_process_has_locked(
    server: SystemPostgres, tmp_path: Path
) -> None:
    async with open_desk(tmp_path, database=server.url) as desk:

        @contextmanager
        def locked() -> Iterator[None]:
            with ThreadPoolExecutor(1) as thread:
                holding, done = threading.Event(), threading.Event()
                held = thread.submit(asyncio.run, _hold(server.url, holding, done))
                assert holding.wait(30)
                try:
                    yield
                finally:
                    done.set()
                    held.result(30)

        await judge(desk, locked)


async def _hold(url: str, holding: threading.Event, done: threading.Event) -> None:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE sessions, intents, feed_lease IN ACCESS EXCLUSIVE MODE")
            holding.set()
            await asyncio.to_thread(done.wait, 60)
    finally:
        await connection.close()
