"""PostgreSQL that is gone, stuck, full, read-only or not for us: our errors only, nothing half done, and it goes on."""

import asyncio
import contextlib
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from ostraka_issuer.errors import BadRequest, StoreUnavailable
from ostraka_issuer.settings import load_settings
from ostraka_issuer.store import Store, migrate, open_store, postgres_commit, postgres_link
from ostraka_issuer.store.intents import add_intent
from ostraka_issuer.store.postgres import FEED_LOCK
from ostraka_issuer.store.tables import INTENTS, SNAPSHOT_PARTS, USERS
from ostraka_schemas.events import PermissionRevoked
from ostraka_schemas.subjects import Uri
from tests.issuer.feed.world import ISSUER, until
from tests.postgres.admin import execute, fetch
from tests.postgres.fixtures import OwnPostgres

USER = {"id": "u", "username": "u", "password_hash": "argon2-of-alice", "disabled": False, "created_at": 0.0}


@pytest_asyncio.fixture
async def store(postgres_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    store = open_store(load_settings(home=tmp_path, database=postgres_url))
    yield store
    await store.close()


async def announce(store: Store, txn: str, *, then: Any = None) -> None:
    async with store.announce() as tx:
        event = PermissionRevoked(permission="orders:create")
        await add_intent(tx, txn=txn, subject=Uri(uri=ISSUER), event=event, now=1.0)
        if then is not None:
            await then(tx)


async def add_user(store: Store, name: str = "u") -> None:
    async with store.write() as tx:
        await tx.execute(insert(USERS).values({**USER, "id": name, "username": name}))


async def txns(store: Store) -> list[str]:
    async with store.read() as tx:
        return list((await tx.execute(select(INTENTS.c.txn).order_by(INTENTS.c.id))).scalars())


async def pid(tx: Any) -> int:
    return int((await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one())


@contextlib.contextmanager
def refused(match: str | None = None) -> Iterator[None]:
    with pytest.raises(StoreUnavailable, match=match) as caught:
        yield
    assert (caught.value.status, caught.value.retry_after) == (503, 1)


async def test_what_is_committed_is_on_the_disk(store: Store) -> None:
    settings = ("synchronous_commit", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "jit")
    async with store.write() as tx:
        found = [(await tx.execute(text(f"SHOW {name}"))).scalar_one() for name in settings]
    assert found == ["on", "8s", "5s", "3s", "off"]


async def test_a_reader_may_not_write(store: Store) -> None:
    with refused("read-only"):
        async with store.read() as tx:
            await tx.execute(insert(USERS).values(USER))
    await add_user(store)


async def test_a_server_that_crashed_is_used_again(own_postgres: OwnPostgres, tmp_path: Path) -> None:
    server = own_postgres()
    settings = load_settings(home=tmp_path, database=server.url)
    await asyncio.to_thread(migrate, settings)
    store = open_store(settings)
    await announce(store, "a")
    with refused():
        await announce(store, "b", then=lambda _: asyncio.to_thread(server.crash))
    for _ in range(2):
        with refused("no connection"):
            await announce(store, "c")
        with refused("no connection"):
            await txns(store)
        with refused("no connection"):
            await store.work(lambda connection: connection.execute(select(INTENTS.c.id)))
    troubles = [store.trouble]
    await asyncio.to_thread(server.restart)
    await announce(store, "d")
    assert await txns(store) == ["a", "d"]
    troubles.append(store.trouble)
    assert [trouble is None for trouble in troubles] == [False, True]
    await store.close()


async def test_connections_that_broke_while_nobody_used_them_are_replaced(store: Store, postgres_url: str) -> None:
    drivers: list[Any] = []

    async def remember(tx: Any) -> None:
        drivers.append((await tx.get_raw_connection()).driver_connection)

    async with store.write() as one, store.read() as two:
        await remember(one)
        await remember(two)
    await announce(store, "a", then=remember)
    mine = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    fetch(postgres_url, f"SELECT pg_terminate_backend(pid, 5000) FROM ({mine}) AS mine")
    await until(lambda: all(driver.is_closed() for driver in drivers), "the news that they broke")
    await add_user(store)
    await announce(store, "b")
    assert await txns(store) == ["a", "b"]
    assert store.trouble is None


async def test_a_connection_that_breaks_in_a_transaction_leaves_nothing(store: Store, postgres_url: str) -> None:
    async def cut(tx: Any) -> None:
        fetch(postgres_url, f"SELECT pg_terminate_backend({await pid(tx)}, 5000)")

    with refused():
        await announce(store, "a", then=cut)
    assert store.trouble is not None
    await announce(store, "b")
    assert await txns(store) == ["b"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(postgres_link._SESSION, "lock_timeout", "200")


@pytest.mark.usefixtures("impatient")
async def test_a_lock_that_another_process_keeps_is_waited_for_so_long(
    store: Store, postgres_url: str, tmp_path: Path
) -> None:
    await add_user(store)
    other = open_store(load_settings(home=tmp_path, database=postgres_url))
    async with other.write() as tx:
        await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": FEED_LOCK})
        await tx.execute(update(USERS).values(disabled=True))
        with refused("lock timeout"):
            await announce(store, "a")
        with refused("lock timeout"):
            await store.work(lambda connection: connection.execute(select(INTENTS.c.id)))
        with refused("lock timeout"):
            async with store.write() as mine:
                await mine.execute(update(USERS).values(disabled=True))
        await add_user(store, "v")
    await other.close()
    await announce(store, "b")
    assert await txns(store) == ["b"]


async def test_a_database_that_only_reads_is_said_to_and_used_again_when_it_writes(
    store: Store, postgres_url: str
) -> None:
    await announce(store, "a")
    name = postgres_url.rsplit("/", 1)[1]
    execute(postgres_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    mine = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    fetch(postgres_url, f"SELECT pg_terminate_backend(pid, 5000) FROM ({mine}) AS mine")
    for _ in range(2):
        with contextlib.suppress(StoreUnavailable):
            await txns(store)
        with refused():
            await announce(store, "b")
    with refused("read-only"):
        await announce(store, "b")
    assert await txns(store) == ["a"]
    execute(
        postgres_url,
        "SET default_transaction_read_only = off",
        f"ALTER DATABASE {name} RESET default_transaction_read_only",
    )
    with contextlib.suppress(StoreUnavailable):
        await announce(store, "c")
    await announce(store, "d")
    assert (await txns(store))[-1] == "d"
    assert store.trouble is None


async def test_a_disk_that_is_full_takes_nothing(own_postgres: OwnPostgres, tmp_path: Path) -> None:
    # No file of this server may grow beyond the size of one of its logs: what it hears is what a full disk says.
    server = own_postgres(largest_file=16 * 2**20)
    settings = load_settings(home=tmp_path, database=server.url)
    await asyncio.to_thread(migrate, settings)
    store = open_store(settings)
    await announce(store, "a")
    parts = [{"part": number, "raw": Random(number).randbytes(2**20)} for number in range(1, 25)]

    async def fill(tx: Any) -> None:
        await tx.execute(insert(SNAPSHOT_PARTS), parts)

    with refused("could not (extend|write)"):
        await announce(store, "b", then=fill)
    assert store.trouble is not None
    await announce(store, "c")
    assert await txns(store) == ["a", "c"]
    await store.close()


async def test_a_server_that_says_nothing_is_given_up(
    own_postgres: OwnPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = own_postgres()
    settings = load_settings(home=tmp_path, database=server.url)
    await asyncio.to_thread(migrate, settings)
    for bound in ("DATABASE_SILENCE", "DATABASE_WAIT"):
        monkeypatch.setattr(postgres_link, bound, 0.5)
    monkeypatch.setattr(postgres_commit, "DATABASE_WAIT", 0.5)
    store = open_store(settings)
    await announce(store, "a")

    async def pause(_tx: Any) -> None:
        server.pause()

    with refused("did not answer|not known"):
        await announce(store, "b", then=pause)
    with refused("did not answer"):
        await txns(store)
    server.resume()
    await until(lambda: _answers(store), "an answer")
    await announce(store, "c")
    assert await txns(store) == ["a", "c"]
    await store.close()


async def _answers(store: Store) -> bool:
    with contextlib.suppress(StoreUnavailable):
        await txns(store)
        return True
    return False


async def test_whoever_stops_in_a_transaction_loses_it_and_its_locks(
    store: Store, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres_link._SESSION, "idle_in_transaction_session_timeout", "200")
    other = open_store(load_settings(home=tmp_path, database=postgres_url))

    async def stop(_tx: Any) -> None:
        await announce(store, "b")  # Gets the lock that was kept.

    with refused():
        await announce(other, "a", then=stop)
    assert await txns(store) == ["b"]
    await other.close()


@pytest.mark.parametrize("outcome", ["committed", "aborted"])
async def test_a_commit_whose_answer_is_lost_is_asked_after(outcome: str, store: Store, postgres_url: str) -> None:
    execute(
        postgres_url,
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END'",
        "CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON intents DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION slowly()",
    )
    told: list[str] = []

    class Companion:
        def join(self, _connection: object) -> Any:
            return lambda: told.append("committed")

    store.companion = Companion()
    drivers: list[Any] = []
    pids: list[int] = []

    async def remember(tx: Any) -> None:
        drivers.append((await tx.get_raw_connection()).driver_connection)
        pids.append(await pid(tx))

    committing = asyncio.create_task(announce(store, "a", then=remember))
    asleep = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    await until(lambda: fetch(postgres_url, asleep), "the commit")
    if outcome == "committed":
        drivers[0].terminate()  # Our end of the connection; the server's goes on.
        await committing
        assert await txns(store) == ["a"]
        assert told == ["committed"]
        assert store.trouble is None
    else:
        fetch(postgres_url, f"SELECT pg_terminate_backend({pids[0]}, 5000)")
        with refused():
            await committing
        assert await txns(store) == []
        assert told == []


async def test_nobody_learns_the_password(own_postgres: OwnPostgres, tmp_path: Path) -> None:
    server = own_postgres(password="the right one")
    settings = load_settings(home=tmp_path, database=server.url)
    await asyncio.to_thread(migrate, settings)
    wrong = load_settings(home=tmp_path, database=server.url.replace("right", "guessed"))
    store = open_store(wrong)
    texts = [repr(settings), str(settings), repr(store), repr(vars(store))]
    uses: list[Callable[[], Awaitable[None]]] = [
        lambda: announce(store, "a"),
        lambda: asyncio.to_thread(migrate, wrong),
        lambda: _listen(store),
    ]
    for use in uses:
        with pytest.raises(StoreUnavailable, match="password authentication failed") as caught:
            await use()
        texts.append("".join(traceback.format_exception(caught.value)))
    await store.close()
    assert not [each for each in texts if "the%20right" in each or "the right" in each or "guessed" in each]


async def _listen(store: Store) -> None:
    async with store.listen(lambda: None):
        pass


async def test_an_error_does_not_repeat_the_row(store: Store) -> None:
    await add_user(store)
    with pytest.raises(StoreUnavailable) as caught:
        async with store.write() as tx:
            await tx.execute(update(USERS).values(username=None))
    assert isinstance(caught.value.__cause__, IntegrityError)
    assert "argon2-of-alice" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(StoreUnavailable) as caught:
        await add_user(store)
    assert "(u)" not in "".join(traceback.format_exception(caught.value))
    assert store.trouble is None  # The database is well.


@pytest.mark.parametrize("name", ["a\x00b", "a\ud800b"])
async def test_what_is_no_text_is_a_bad_request(store: Store, name: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await add_user(store, name)
    assert caught.value.status == 400
    assert store.trouble is None
    await add_user(store)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@127.0.0.1:no/x",
        "postgresql://u:secret@127.0.0.1:1/x",
        "postgresql://u:secret@h/x?sslmode=odd",
    ],
)
async def test_a_server_that_is_not_there_is_said_in_our_words(url: str, tmp_path: Path) -> None:
    store = open_store(load_settings(home=tmp_path, database=url))
    with pytest.raises(StoreUnavailable, match="no connection") as caught:
        await txns(store)
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    await store.close()
