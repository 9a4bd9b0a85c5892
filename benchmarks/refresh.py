"""Refreshes with rotation and introspections through real HTTP, beside the least that a refresh costs.

One ``ostraka serve`` on PostgreSQL and one on SQLite; both databases wait for the disk at every commit. The clients and
the floor run in this process, on the same cores. The floor is one commit and one signature, in a bare asyncpg (or
sqlite3) loop: insert a row, commit, sign a token with ES256, in as many tasks as there are clients. The three take
turns, round by round.
"""

import asyncio
import base64
import contextlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
from rich.console import Console
from rich.table import Table

from benchmarks.stats import Distribution
from ostraka_issuer.accounts.client_admin import Clients
from ostraka_issuer.accounts.client_changes import NewClient
from ostraka_issuer.desk.children import start_child
from ostraka_issuer.desk.ports import LOCALHOST, find_free_port
from ostraka_issuer.settings import load_settings
from ostraka_issuer.store import migrate, open_store
from ostraka_schemas import jws, strict_json
from ostraka_schemas.jwk import SigningKey
from tests.kafka.broker import ExternalKafka
from tests.postgres.admin import execute
from tests.postgres.fixtures import database_url
from tests.postgres.system import SystemPostgres, programs_are_missing
from tests.support.stack import PASSWORD, IssuerHome, make_home
from tests.support.wire import Wire

CLIENTS: Final = (1, 8)
READY_SECONDS: Final = 60.0
DURABLE: Final = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "shared_buffers": "128MB"}
CLAIMS: Final = {
    "iss": "https://id.example", "sub": "u" * 22, "aud": "orders", "client_id": "ostraka", "iat": 1, "nbf": 1,
    "exp": 301, "jti": "j" * 22, "sid": "s" * 22, "auth_time": 1, "fv": [1, 7], "permissions": ["orders:create"],
}  # fmt: skip
ELSEWHERE: Final = (
    "Keycloak 26.7 on PostgreSQL, 2 shared cores, 8 clients, measured elsewhere and not in this run: "
    "290-520 refreshes with rotation/s, p50 15-25 ms; 1,400-2,500 introspections/s"
)
FLOOR, REFRESH, INTROSPECT = "floor", "refresh", "introspect"

Work = Callable[[int], Awaitable[None]]
"""What the task or client of that number does once."""


@dataclass
class Figures:
    """What came of one kind of work: operations per second in each round, and milliseconds of each operation."""

    rates: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rates)

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        rounds = {
            "per_second": round(self.rate, 1),
            "worst": round(min(self.rates), 1),
            "best": round(max(self.rates), 1),
        }
        return {**rounds, "ms": Distribution.of(self.milliseconds).to_dict()}


async def play(work: Work, tasks: int, seconds: float, into: Figures) -> None:
    """Let so many tasks do it, over and over, for so long."""
    begin = time.perf_counter()

    async def one(number: int) -> int:
        count = 0
        while (at := time.perf_counter()) < begin + seconds:
            await work(number)
            into.milliseconds.append((time.perf_counter() - at) * 1_000)
            count += 1
        return count

    done = await asyncio.gather(*(one(number) for number in range(tasks)))
    into.rates.append(sum(done) / (time.perf_counter() - begin))


# --- the floor -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def postgres_floor(url: str) -> AsyncIterator[Work]:
    """A connection for each task; one statement is one transaction."""
    key = SigningKey.generate("ES256")
    links = [await asyncpg.connect(url) for _ in range(max(CLIENTS))]
    await links[0].execute("CREATE TABLE floor (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sid text)")

    async def work(number: int) -> None:
        await links[number].execute("INSERT INTO floor (sid) VALUES ($1)", "s" * 22)
        _sign(key)

    try:
        yield work
    finally:
        for link in links:
            await link.close()


@asynccontextmanager
async def sqlite_floor(path: Path) -> AsyncIterator[Work]:
    """One connection: SQLite has one writer at a time anyway. It blocks, which is the cheapest way to wait for it."""
    key = SigningKey.generate("ES256")
    link = sqlite3.connect(path, isolation_level=None)
    link.execute("PRAGMA journal_mode = WAL")
    link.execute("PRAGMA synchronous = FULL")
    link.execute("CREATE TABLE floor (id INTEGER PRIMARY KEY, sid TEXT)")

    async def work(_number: int) -> None:
        link.execute("INSERT INTO floor (sid) VALUES (?)", ("s" * 22,))
        _sign(key)
        await asyncio.sleep(0)

    with contextlib.closing(link):
        yield work


def _sign(key: SigningKey) -> None:
    jws.sign(strict_json.dumps(CLAIMS), key, typ=jws.TYP_ACCESS_TOKEN, max_bytes=8 * 1024)


# --- the issuer ------------------------------------------------------------------------------------------------------


@dataclass
class Visitors:
    """Clients with a connection and a session each."""

    wires: list[Wire]
    refresh_tokens: list[str]
    access_tokens: list[str]
    basic: str = field(repr=False)

    async def refresh(self, number: int) -> None:
        """Use the refresh token of one of them; the answer brings the next."""
        fields = {"grant_type": "refresh_token", "refresh_token": self.refresh_tokens[number]}
        status, _, answer = await self.wires[number].form("/token", fields)
        _insist(status == 200, answer)
        self.refresh_tokens[number] = answer["refresh_token"]
        self.access_tokens[number] = answer["access_token"]

    async def introspect(self, number: int) -> None:
        """Ask about its access token, as a client with a secret."""
        status, _, answer = await self.wires[number].form(
            "/introspect", {"token": self.access_tokens[number]}, self.basic
        )
        _insist(status == 200 and answer["active"] is True, answer)


def _insist(good: bool, answer: dict[str, Any]) -> None:
    if not good:
        raise RuntimeError(f"the issuer answered {answer}")


async def visit(stack: AsyncExitStack, home: IssuerHome, secret: str) -> Visitors:
    """Let as many log in as will ever be at work at once."""
    basic = "Basic " + base64.b64encode(f"bench:{secret}".encode()).decode()
    visitors = Visitors([], [], [], basic)
    for _ in range(max(CLIENTS)):
        wire = await stack.enter_async_context(Wire(home.url))
        status, _, answer = await wire.login("alice", PASSWORD)
        _insist(status == 200, answer)
        visitors.wires.append(wire)
        visitors.refresh_tokens.append(answer["refresh_token"])
        visitors.access_tokens.append(answer["access_token"])
    return visitors


async def make_issuer(directory: Path, **settings: str) -> tuple[IssuerHome, str]:
    """A home, with a client that introspects; returns its secret too. The broker is away: it has no part in this."""
    broker = ExternalKafka(f"{LOCALHOST}:{find_free_port()}")
    home = await make_home(directory, broker, "feed", **settings)
    values = {name.removeprefix("OSTRAKA_").lower(): value for name, value in home.environment.items()}
    loaded = load_settings(**values)
    store = open_store(loaded)
    try:
        clients = Clients(store, issuer=loaded.issuer)
        _, secret = await clients.add(
            NewClient("bench", "bench", auth_method="client_secret_basic", grant_types=("client_credentials",),
                      audiences=("orders",))
        )  # fmt: skip
    finally:
        await store.close()
    assert secret is not None
    return home, secret


@asynccontextmanager
async def serving(home: IssuerHome) -> AsyncIterator[subprocess.Popen[bytes]]:
    """``ostraka serve`` in a process of its own, with its log in a file, until the end of the block."""
    with home.log.open("wb") as log:
        process = start_child(
            [sys.executable, *PROFILER, "-m", "ostraka_issuer", "serve"],
            output=log,
            environment={**os.environ, **home.environment},
        )
    try:
        await _until_it_answers(process, home)
        yield process
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


async def _until_it_answers(process: "subprocess.Popen[bytes]", home: IssuerHome) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
            async with Wire(home.url) as wire:
                if (await wire.login("alice", PASSWORD)).status == 200:
                    return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the issuer does not answer:\n{home.log.read_text()[-4_000:]}")
        await asyncio.sleep(0.1)


PROFILER: list[str] = []
"""Options of the interpreter of the issuer's process."""


# --- the measurement -------------------------------------------------------------------------------------------------


async def compare(floor: Work, visitors: Visitors, rounds: int, seconds: float) -> dict[int, dict[str, Figures]]:
    """Everything with so many at a time, in turns."""
    found = {count: {name: Figures() for name in (FLOOR, REFRESH, INTROSPECT)} for count in CLIENTS}
    works: dict[str, Work] = {FLOOR: floor, REFRESH: visitors.refresh, INTROSPECT: visitors.introspect}
    for work in works.values():
        await play(work, max(CLIENTS), seconds / 2, Figures())  # nothing is warm before
    for _ in range(rounds):
        for count, figures in found.items():
            for name, work in works.items():
                await play(work, count, seconds, figures[name])
    return found


async def measure(rounds: int, seconds: float) -> dict[str, dict[int, dict[str, Figures]]]:
    """Both databases, one after the other; PostgreSQL is left out where it is not installed."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="ostraka-bench-") as directory:
        if programs_are_missing() is None:
            server = SystemPostgres(DURABLE)
            await asyncio.to_thread(server.start)
            try:
                found[f"{server.kind}, fsync on"] = await _on_postgres(server, Path(directory), rounds, seconds)
            finally:
                await asyncio.to_thread(server.stop)
        found["SQLite, synchronous=FULL"] = await _on_sqlite(Path(directory), rounds, seconds)
    return found


async def _on_postgres(
    server: SystemPostgres, directory: Path, rounds: int, seconds: float
) -> dict[int, dict[str, Figures]]:
    for name in ("issuer", "floor"):
        await asyncio.to_thread(execute, server.url, f"CREATE DATABASE {name}")
    url = database_url(server.url, "issuer")
    await asyncio.to_thread(migrate, load_settings(home=directory / "postgresql", database=url))
    async with AsyncExitStack() as stack:
        home, secret = await make_issuer(directory / "postgresql", database=url)
        await stack.enter_async_context(serving(home))
        floor = await stack.enter_async_context(postgres_floor(database_url(server.url, "floor")))
        return await compare(floor, await visit(stack, home, secret), rounds, seconds)


async def _on_sqlite(directory: Path, rounds: int, seconds: float) -> dict[int, dict[str, Figures]]:
    async with AsyncExitStack() as stack:
        home, secret = await make_issuer(directory / "sqlite")
        await stack.enter_async_context(serving(home))
        floor = await stack.enter_async_context(sqlite_floor(directory / "floor.sqlite"))
        return await compare(floor, await visit(stack, home, secret), rounds, seconds)


def run(console: Console, *, as_json: bool, rounds: int = 5, seconds: float = 2.0) -> None:
    """Measure and print."""
    found = asyncio.run(measure(rounds, seconds))
    if as_json:
        figures = {
            kind: {str(count): {name: one.to_dict() for name, one in ones.items()} for count, ones in counts.items()}
            for kind, counts in found.items()
        }
        console.print_json(json.dumps({"refresh": figures}))
        return
    for kind, counts in found.items():
        _print(
            console,
            f"{kind}; medians of {rounds} rounds of {seconds:g} s, in turns; floor: one commit and one signature",
            counts,
        )
    console.print(ELSEWHERE, style="dim", soft_wrap=True)


def _print(console: Console, title: str, counts: dict[int, dict[str, Figures]]) -> None:
    table = Table(title=title, title_justify="left")
    for column in ("", "clients", "per s", "worst–best", "÷ floor", "p50 ms", "p99 ms"):
        table.add_column(column, justify="left" if not column else "right", no_wrap=True)
    for count, ones in counts.items():
        for name, one in ones.items():
            spread = Distribution.of(one.milliseconds)
            times = tuple(spread.quantile(q) for q in (0.5, 0.99))
            ratio = f"{ones[FLOOR].rate / one.rate:.2f}" if name == REFRESH else ""
            rounds = f"{min(one.rates):,.0f}–{max(one.rates):,.0f}"
            table.add_row(name, str(count), f"{one.rate:,.0f}", rounds, ratio, *(f"{value:.1f}" for value in times))
    console.print(table)
