"""Fixtures that give tests a database; loaded through ``pytest_plugins``.

====================  ===========================================================================================
``store_url``         runs the test twice: ``None``, for a SQLite file in the test's own home, and the URL of a
                      PostgreSQL database: ``load_settings(home=tmp_path, database=store_url)``
``any_store``         the same, opened and migrated
``another_store``     opens the same database once more, as another process would: ``store = another_store()``
``sqlite_store``      a migrated SQLite file, open, for what only SQLite does
``postgres_url``      a migrated PostgreSQL database that no other test has
``empty_postgres``    the same, with nothing in it
``own_postgres``      starts servers for this test alone, which it may crash: ``server = own_postgres()``
====================  ===========================================================================================

The summary at the end names the server that ran.
"""

import asyncio
import itertools
import os
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from ostraka_issuer.settings import load_settings
from ostraka_issuer.store import Store, migrate, open_store
from tests.postgres.admin import execute
from tests.postgres.clean import schema_of, wipe
from tests.postgres.errors import PostgresError
from tests.postgres.server import REQUIRE_VARIABLE, Server, choose_server, is_required
from tests.postgres.system import SystemPostgres
from tests.support.noted import is_one_of_many, note, noted

_NUMBER = itertools.count(1)
_MINE = f"ostraka_{os.getpid()}_{uuid.uuid4().hex[:8]}"


class OwnPostgres(Protocol):
    """Starts a server for one test; the arguments are those of ``SystemPostgres``."""

    def __call__(
        self, extra: Mapping[str, str] | None = None, *, password: str | None = None, largest_file: int | None = None
    ) -> SystemPostgres: ...


class AnotherStore(Protocol):
    """Opens the test's database once more."""

    def __call__(self) -> Store: ...


class Cluster:
    """A running server and the template from which the tests' databases are copied.

    A copy takes longer than most tests. One that is given back with the schema that it had is emptied for the next.
    """

    def __init__(self, server: Server, home: Path) -> None:
        self.server = server
        self._template = f"{_MINE}_template"
        execute(server.url, f"CREATE DATABASE {self._template}")
        template = database_url(server.url, self._template)
        migrate(load_settings(home=home, database=template))
        self._schema = schema_of(template)
        self._free: list[str] = []

    def take(self) -> str:
        """A migrated database with no rows in it, for one test. Returns its URL."""
        return self._free.pop() if self._free else self.create()

    def give_back(self, url: str) -> None:
        """The test has ended; whoever still uses its database is cut off."""
        if wipe(url) == self._schema:
            self._free.append(url)
        else:
            self.drop(url)

    def create(self, *, empty: bool = False) -> str:
        """A new database. Returns its URL."""
        name = f"{_MINE}_{next(_NUMBER)}"
        execute(self.server.url, f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else self._template}")
        return database_url(self.server.url, name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever still uses it."""
        execute(self.server.url, f"DROP DATABASE IF EXISTS {urlsplit(url).path[1:]} WITH (FORCE)")

    def close(self) -> None:
        """Remove what is left."""
        for url in self._free:
            self.drop(url)
        execute(self.server.url, f"DROP DATABASE IF EXISTS {self._template} WITH (FORCE)")


def database_url(server: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlsplit(server)._replace(path=f"/{name}").geturl()


def _choose(config: pytest.Config, *, own: bool = False) -> Server:
    server = choose_server(own=own)
    if isinstance(server, str):
        note(config, "no postgres", server)
        pytest.skip(server)
    return server


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The server that all tests share. Do not stop it: see ``own_postgres``."""
    server = _choose(request.config)
    server.start()
    try:
        note(request.config, "postgres", server.kind)
        cluster = Cluster(server, tmp_path_factory.mktemp("template"))
        yield cluster
        cluster.close()
    finally:
        server.stop()


@pytest.fixture
def postgres_url(postgres: Cluster) -> Iterator[str]:
    """A migrated database for this test alone."""
    url = postgres.take()
    yield url
    postgres.give_back(url)


@pytest.fixture
def empty_postgres(postgres: Cluster) -> Iterator[str]:
    """A database for this test alone, with nothing in it."""
    url = postgres.create(empty=True)
    yield url
    postgres.drop(url)


@pytest.fixture
def own_postgres(request: pytest.FixtureRequest) -> Iterator[OwnPostgres]:
    """Starts servers for this test alone, and stops them after it."""
    servers: list[SystemPostgres] = []
    _choose(request.config, own=True)

    def make(
        extra: Mapping[str, str] | None = None, *, password: str | None = None, largest_file: int | None = None
    ) -> SystemPostgres:
        server = SystemPostgres(extra, password=password, largest_file=largest_file)
        servers.append(server)
        server.start()
        note(request.config, "postgres", server.kind)
        return server

    try:
        yield make
    finally:
        for server in servers:
            server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """The test runs with SQLite (``None``), and again with this URL."""
    return str(request.getfixturevalue("postgres_url")) if request.param == "postgresql" else None


@pytest_asyncio.fixture
async def any_store(store_url: str | None, tmp_path: Path) -> AsyncIterator[Store]:
    """A migrated database of each kind."""
    settings = load_settings(home=tmp_path, database=store_url)
    await asyncio.to_thread(migrate, settings)
    store = open_store(settings)
    yield store
    await store.close()


@pytest_asyncio.fixture
async def sqlite_store(tmp_path: Path) -> AsyncIterator[Store]:
    """A migrated SQLite file."""
    settings = load_settings(home=tmp_path)
    await asyncio.to_thread(migrate, settings)
    store = open_store(settings)
    yield store
    await store.close()


@pytest_asyncio.fixture
async def another_store(store_url: str | None, tmp_path: Path) -> AsyncIterator[AnotherStore]:
    """Opens the database of ``any_store`` once more."""
    stores: list[Store] = []

    def make() -> Store:
        stores.append(open_store(load_settings(home=tmp_path, database=store_url)))
        return stores[-1]

    yield make
    for store in stores:
        await store.close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if is_one_of_many(config) or config.option.collectonly or not is_required():
        return
    if not noted(config, "postgres"):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for kind in noted(config, "postgres") or ["no test ran on it"]:
        terminalreporter.write_line(f"postgresql: {kind}")
    for reason in noted(config, "no postgres"):
        terminalreporter.write_line(f"postgresql: some tests were skipped: {reason}", yellow=True)
    if is_required() and not noted(config, "postgres"):
        terminalreporter.write_line(f"postgresql: {REQUIRE_VARIABLE} is set and no test ran on PostgreSQL", red=True)


__all__ = ["Cluster", "OwnPostgres", "PostgresError", "any_store", "own_postgres", "postgres", "store_url"]
