import asyncio
import os
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, bindparam, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from ostraka_issuer.errors import BadRequest, SchemaError, StoreUnavailable
from ostraka_issuer.settings import load_settings
from ostraka_issuer.store import Store, engine, migrate, open_store, sqlite
from ostraka_issuer.store.intents import add_intent, list_intents, newest_position
from ostraka_issuer.store.tables import FEED_RECORDS, INTENTS, METADATA, USERS
from ostraka_schemas.events import IssuerCutoff, PermissionRevoked
from ostraka_schemas.records import Position
from ostraka_schemas.subjects import Uri

ABOUT = Uri(uri="https://id.example")


@pytest.fixture
def store(any_store: Store) -> Store:
    return any_store


async def add(store: Store, *txns: str) -> None:
    for txn in txns:
        async with store.write() as tx:
            await add_intent(tx, txn=txn, subject=ABOUT, event=IssuerCutoff(), now=1.0)


async def txns(store: Store) -> list[str]:
    async with store.read() as tx:
        return list((await tx.execute(select(INTENTS.c.txn).order_by(INTENTS.c.id))).scalars())


async def test_the_migrations_make_what_the_tables_say(store: Store) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), METADATA))

    async with store.read() as tx:
        assert await tx.run_sync(differences) == []


async def test_one_statement_needs_no_transaction(store: Store) -> None:
    """What ``apply`` did is there for everybody when it returns; ``ask`` sees it, and so does a transaction."""
    await add(store, "first", "second")
    place = update(INTENTS).where(INTENTS.c.txn == bindparam("which")).values(seq=bindparam("place"))
    assert await store.apply(place, {"which": "first", "place": 7}) == 1
    assert await store.apply(place, {"which": "nobody", "place": 8}) == 0
    query = select(INTENTS.c.txn, INTENTS.c.subject).where(INTENTS.c.seq == bindparam("place"))
    assert [tuple(row) for row in await store.ask(query, {"place": 7})] == [("first", ABOUT.model_dump())]
    assert await store.ask(query, {"place": 8}) == []
    async with store.read() as tx:
        assert (await tx.execute(select(INTENTS.c.seq).where(INTENTS.c.txn == "first"))).scalar() == 7


async def test_a_statement_that_is_refused_changes_nothing(store: Store) -> None:
    await add(store, "first", "second")
    same = update(INTENTS).values(txn=bindparam("name"))
    with pytest.raises(StoreUnavailable):
        await store.apply(same, {"name": "first"})
    assert await txns(store) == ["first", "second"]
    assert store.trouble is None, "the database is well: it refused"
    with pytest.raises(BadRequest):
        await store.ask(select(INTENTS.c.id).where(INTENTS.c.txn == bindparam("name")), {"name": "\ud800"})


async def test_no_commit_is_lost_by_a_power_cut(sqlite_store: Store) -> None:
    async with sqlite_store.read() as tx:
        assert (await tx.execute(text("PRAGMA journal_mode"))).scalar() == "wal"
        assert (await tx.execute(text("PRAGMA synchronous"))).scalar() == 2  # FULL
        assert (await tx.execute(text("PRAGMA foreign_keys"))).scalar() == 1


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    path, settings = tmp_path / "ostraka.db", load_settings(home=tmp_path)
    migrate(settings)
    with sqlite3.connect(path) as connection:
        before = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    migrate(settings)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall() == before
    connection.close()


@pytest.mark.skipif(os.name != "posix", reason="modes are a POSIX thing")
def test_only_the_owner_may_read_the_database(tmp_path: Path) -> None:
    migrate(load_settings(home=tmp_path))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    path, settings = tmp_path / "ostraka.db", load_settings(home=tmp_path)
    migrate(settings)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(SchemaError, match="does not know"):
        migrate(settings)


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path, settings = tmp_path / "ostraka.db", load_settings(home=tmp_path)
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(StoreUnavailable):
        migrate(settings)
    assert path.read_bytes() == b"not a database, " * 100
    with pytest.raises(StoreUnavailable, match="cannot open"):
        migrate(load_settings(home=tmp_path / "nowhere"))


async def test_an_exception_takes_the_whole_transaction_back(store: Store) -> None:
    async def half() -> None:
        async with store.write() as tx:
            await add_intent(tx, txn="a", subject=ABOUT, event=IssuerCutoff(), now=1.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await half()
    await add(store, "b")
    assert await txns(store) == ["b"]


async def test_a_cancellation_takes_the_whole_transaction_back(store: Store) -> None:
    inside = asyncio.Event()

    async def stuck() -> None:
        async with store.write() as tx:
            await add_intent(tx, txn="a", subject=ABOUT, event=IssuerCutoff(), now=1.0)
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stuck())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await add(store, "b")
    assert await txns(store) == ["b"]


async def test_writers_take_turns_and_see_each_other(store: Store) -> None:
    async with store.write() as tx:
        await tx.execute(insert(USERS).values(id="u", username="u", password_hash="0", disabled=False, created_at=0.0))

    async def increment() -> None:
        async with store.write() as tx:
            query = select(USERS.c.password_hash).with_for_update()
            value = int((await tx.execute(query)).scalar_one())
            await asyncio.sleep(0)
            await tx.execute(update(USERS).values(password_hash=str(value + 1)))

    await asyncio.gather(*(increment() for _ in range(50)))
    async with store.read() as tx:
        assert (await tx.execute(select(USERS.c.password_hash))).scalar_one() == "50"


async def test_a_reader_sees_one_state(store: Store) -> None:
    await add(store, "a")
    async with store.read() as tx:
        before = (await tx.execute(select(INTENTS.c.txn))).scalars().all()
        await add(store, "b")
        assert (await tx.execute(select(INTENTS.c.txn))).scalars().all() == before
    assert await txns(store) == ["a", "b"]


async def test_a_database_locked_by_another_process_is_said_to_be_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(load_settings(home=tmp_path))
    monkeypatch.setattr(sqlite, "DATABASE_WAIT", 0.05)
    store = open_store(load_settings(home=tmp_path))
    other = sqlite3.connect(tmp_path / "ostraka.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable) as caught:
        await add(store, "a")
    assert (caught.value.status, caught.value.retry_after) == (503, 1)
    other.execute("ROLLBACK")
    other.close()
    await add(store, "b")
    assert await txns(store) == ["b"]
    await store.close()


async def test_a_writer_that_gets_no_turn_gives_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "DATABASE_WAIT", 0.05)
    async with store.announce():
        with pytest.raises(StoreUnavailable, match="no turn"):
            async with store.announce():
                pass
    await add(store, "b")
    assert await txns(store) == ["b"]


async def test_the_bodys_own_timeout_stays_its_own(store: Store) -> None:
    with pytest.raises(TimeoutError):
        async with store.write():
            raise TimeoutError


@pytest.mark.parametrize("values", [{"password_hash": ""}, {"password_hash": None}, {"username": None}])
async def test_an_account_cannot_lose_its_password(store: Store, values: dict[str, object]) -> None:
    user = {"id": "u", "username": "u", "password_hash": "x", "disabled": False, "created_at": 0.0}
    async with store.write() as tx:
        await tx.execute(insert(USERS).values(user))
    with pytest.raises(StoreUnavailable) as caught:
        async with store.write() as tx:
            await tx.execute(update(USERS).values(values))
    assert isinstance(caught.value.__cause__, IntegrityError)


async def test_intents_are_listed_newest_first_with_their_places(store: Store) -> None:
    await add(store, "a", "b", "c")
    async with store.write() as tx:
        await add_intent(tx, txn="d", subject=ABOUT, event=PermissionRevoked(permission="a:b"), now=2.0)
        await tx.execute(insert(FEED_RECORDS).values(epoch=1, seq=7, hash=b"h", raw=b"r", txn="b", created_at=1.0))
    async with store.read() as tx:
        found = await list_intents(tx, limit=3)
        assert [intent.txn for intent in found] == ["d", "c", "b"]
        assert [intent.position for intent in found] == [None, None, Position(1, 7)]
        assert [intent.txn for intent in await list_intents(tx, before="b", limit=9)] == ["a"]
        assert await list_intents(tx, before="nobody", limit=9) == []
        without = await list_intents(tx, without=[IssuerCutoff.uri], limit=9)
        assert [intent.txn for intent in without] == ["d"]
        assert await newest_position(tx) == Position(1, 7)


async def test_an_empty_feed_has_no_position(store: Store) -> None:
    async with store.read() as tx:
        assert await newest_position(tx) is None


async def test_a_write_that_failed_is_trouble_until_one_succeeds(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [store.trouble]
    with pytest.raises(StoreUnavailable):
        async with store.write() as tx:
            await tx.execute(text("INSERT INTO no_such_table VALUES (1)"))
    said.append(store.trouble)
    monkeypatch.setattr(engine, "STORE_TROUBLE", 0.0)
    said.append(store.trouble)
    monkeypatch.undo()
    async with store.write():
        pass
    said.append(store.trouble)
    assert said[1] is not None
    assert "no_such_table" in said[1]
    assert [said[0], *said[2:]] == [None, None, None]
