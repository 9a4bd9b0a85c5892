"""What was accepted is finished when the process ends, or told in order that it was not."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from sqlalchemy import select, text, update

from ostraka_issuer.accounts.passwords import Passwords
from ostraka_issuer.http.server import Server, listen
from ostraka_issuer.store.tables import SESSIONS
from tests.issuer.front import Desk
from tests.issuer.test_http_login import assert_problem
from tests.issuer.world import PASSWORD

SECONDS = 30.0
LOGINS = 3
"""One more than threads that hash, and fewer than one account is granted at once."""


class Running:
    """The issuer behind a socket; it ends when it is told to."""

    def __init__(self, server: Server, client: httpx.AsyncClient, serving: "asyncio.Task[None]") -> None:
        self._server = server
        self._serving = serving
        self.client = client

    def login(self) -> "asyncio.Task[httpx.Response]":
        return asyncio.create_task(self.client.post("/login", json={"username": "alice", "password": PASSWORD}))

    def end(self) -> None:
        self._server.should_exit = True

    async def ended(self) -> None:
        await asyncio.wait_for(self._serving, SECONDS)


@asynccontextmanager
async def served(desk: Desk, *, grace: float, parting: float) -> AsyncIterator[Running]:
    server = Server(desk.app, lambda: None, grace=grace, parting=parting)
    with listen("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        serving = asyncio.create_task(server._serve(sockets=[listener]))
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=SECONDS) as client:
            running = Running(server, client, serving)
            try:
                yield running
            finally:
                running.end()
                await running.ended()


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """No password is checked before this is set."""
    go_on = threading.Event()
    fits = Passwords._fits

    def held(self: Passwords, stored: str, data: bytes) -> bool:
        assert go_on.wait(SECONDS)
        return fits(self, stored, data)

    monkeypatch.setattr(Passwords, "_fits", held)
    yield go_on
    go_on.set()


async def until_hashing(desk: Desk, number: int) -> None:
    async with asyncio.timeout(SECONDS):
        while desk.issuer.passwords.pending < number:
            await asyncio.sleep(0.01)


async def test_logins_that_wait_for_their_hash_are_finished(desk: Desk, hashing: threading.Event) -> None:
    async with served(desk, grace=SECONDS, parting=1.0) as running:
        logins = [running.login() for _ in range(LOGINS)]
        await until_hashing(desk, LOGINS)
        running.end()
        hashing.set()
        answers = await asyncio.gather(*logins)
    assert [answer.status_code for answer in answers] == [200] * LOGINS


async def test_logins_for_which_there_is_no_time_are_told_to_ask_again(
    desk: Desk, hashing: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(desk, grace=SECONDS, parting=SECONDS) as running:
        logins = [running.login() for _ in range(LOGINS)]
        await until_hashing(desk, LOGINS)
        running.end()
        for answer in await asyncio.gather(*logins):
            assert_problem(answer, 503, "ending")
            assert answer.headers["retry-after"] == "1"
        await running.ended()
    assert [record for record in caplog.records if record.name.startswith("uvicorn") and record.exc_info] == []
    async with desk.issuer.store.read() as tx:
        assert (await tx.execute(select(SESSIONS.c.id))).all() == []


async def test_a_login_that_waits_for_the_database_is_told_as_well(desk: Desk) -> None:
    async with served(desk, grace=SECONDS, parting=SECONDS) as running:
        async with desk.issuer.store.write() as tx:
            await tx.execute(update(SESSIONS).values(ended_at=None))  # SQLite: one writer at a time
            if tx.dialect.name == "postgresql":
                await tx.execute(text("LOCK TABLE sessions"))
            login = running.login()
            async with asyncio.timeout(SECONDS):
                while not desk.app.state.under_way.number:
                    await asyncio.sleep(0.01)
            running.end()
            answer = await login
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["content-type"] == "application/problem+json"
        await running.ended()
