"""The order in which a server is chosen, with probes that answer as told; and that a database comes back as it was."""

import asyncio

import pytest
from sqlalchemy import insert, text

from ostraka_issuer.settings import load_settings
from ostraka_issuer.store import Store, open_store
from ostraka_issuer.store.tables import ROLES
from tests.postgres.admin import execute, fetch
from tests.postgres.container import ContainerPostgres
from tests.postgres.errors import PostgresError
from tests.postgres.fixtures import Cluster
from tests.postgres.server import ExternalPostgres, Probes, Server, choose_server
from tests.postgres.system import SystemPostgres

ADDRESS = {"OSTRAKA_TEST_POSTGRES": "postgresql://u:p@db.example/x"}
REQUIRED = {"OSTRAKA_REQUIRE_POSTGRES": "1"}


def machine(*, container: bool = False, system: bool = False) -> Probes:
    return Probes(
        container=lambda: None if container else "no Docker daemon answers",
        system=lambda: None if system else "PostgreSQL's server is not installed",
    )


@pytest.mark.usefixtures("postgres")
@pytest.mark.parametrize(
    ("environment", "probes", "own", "expected"),
    [
        (ADDRESS, machine(container=True, system=True), False, ExternalPostgres),
        (ADDRESS, machine(container=True, system=True), True, SystemPostgres),
        ({}, machine(container=True, system=True), False, ContainerPostgres),
        ({"OSTRAKA_TEST_POSTGRES": " "}, machine(system=True), False, SystemPostgres),
        (REQUIRED, machine(system=True), False, SystemPostgres),
    ],
)
def test_takes_the_first_that_can_be_had(
    environment: dict[str, str], probes: Probes, own: bool, expected: type[Server]
) -> None:
    assert type(choose_server(environment, probes, own=own)) is expected


def test_the_reason_names_everything_that_is_missing() -> None:
    assert choose_server({}, machine()) == (
        "needs PostgreSQL: OSTRAKA_TEST_POSTGRES is not set; no Docker daemon answers; "
        "PostgreSQL's server is not installed"
    )


def test_a_required_one_that_is_missing_is_an_error() -> None:
    with pytest.raises(PostgresError, match=r"OSTRAKA_REQUIRE_POSTGRES is set; needs PostgreSQL.*not installed"):
        choose_server(REQUIRED, machine())


async def _use(store: Store) -> None:
    async with store.write() as tx:
        await tx.execute(insert(ROLES).values(name="r", created_at=1.0))
        await tx.execute(text("SELECT nextval(pg_get_serial_sequence('intents', 'id'))"))


def test_a_database_that_is_given_back_is_as_it_was(postgres: Cluster) -> None:
    async def scenario(url: str) -> None:
        store = open_store(load_settings(database=url))
        await _use(store)
        await store.close()

    url = postgres.take()
    asyncio.run(scenario(url))
    postgres.give_back(url)
    assert postgres.take() == url
    (row,) = fetch(url, "SELECT (SELECT count(*) FROM roles) AS roles, nextval('intents_id_seq') AS id")
    assert (row["roles"], row["id"]) == (0, 1)
    execute(url, "ALTER TABLE roles ADD COLUMN odd text")
    postgres.give_back(url)
    other = postgres.take()
    assert other != url
    postgres.give_back(other)
