"""Five hundred logins a second against one issuer process that hashes passwords as in production (argon2id).

No wall-clock time is asserted. A gap between heartbeats is held against those of another issuer on the same machine at
the same time, of which nobody wants anything: it may be one interval longer.
``OSTRAKA_TEST_STORM_SECONDS=60`` makes it longer.
"""

import asyncio
import os
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select

from ostraka_issuer.accounts.offline import open_accounts
from ostraka_issuer.desk.ports import LOCALHOST, find_free_port
from ostraka_issuer.settings import load_settings
from ostraka_issuer.store import Store, open_store
from ostraka_issuer.store.tables import FEED_HEARTBEAT, SESSIONS
from tests.kafka.broker import ExternalKafka
from tests.postgres.fixtures import Cluster
from tests.support.stack import PASSWORD, IssuerHome, make_home
from tests.support.wire import Answer, Wire
from tests.support.zygote import Zygote

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

RATE: Final = 500
SECONDS: Final = float(os.environ.get("OSTRAKA_TEST_STORM_SECONDS", "5"))
TICK: Final = 0.02
INTERVAL: Final = 1
PEOPLE: Final = 12
READY_SECONDS: Final = 60.0


@dataclass
class Seen:
    """What came of it. Times are seconds."""

    answers: list[Answer] = field(default_factory=list)
    dropped: int = 0
    refreshed: int = 0
    beats: list[float] = field(default_factory=list)
    calm_beats: list[float] = field(default_factory=list)


@pytest.fixture
def calm_url(request: pytest.FixtureRequest, store_url: str | None) -> Iterator[str | None]:
    """A second database of the same kind."""
    if store_url is None:
        yield None
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    url = cluster.take()
    yield url
    cluster.give_back(url)


async def test_logins_beyond_capacity_are_refused_in_order_and_starve_nobody(
    tmp_path: Path, store_url: str | None, calm_url: str | None
) -> None:
    async with (
        _issuer(tmp_path / "calm", calm_url) as (_, calm),
        _issuer(tmp_path / "busy", store_url) as (home, store),
    ):
        seen, session = Seen(), await _login(home)
        before = await _sessions(store)
        await _storm(home, store, calm, session, seen)
        opened = await _sessions(store) - before
    statuses = Counter(answer.status for answer in seen.answers)
    gap, calm_gap = _longest_gap(seen.beats), _longest_gap(seen.calm_beats)
    print(
        f"{len(seen.answers)} logins answered {dict(statuses)}, {seen.dropped} connections lost; {opened} sessions;"
        f" {seen.refreshed} refreshes; longest gap between heartbeats {gap:.2f} s,"
        f" of an issuer beside it {calm_gap:.2f} s"
    )
    assert set(statuses) <= {200, 429, 503}
    assert statuses[200] > 0
    assert statuses[429] + statuses[503] > statuses[200]
    for answer in seen.answers:
        if answer.status != 200:
            assert answer.headers["content-type"].startswith("application/problem+json")
            assert int(answer.headers["retry-after"]) > 0
    assert opened == statuses[200]
    assert seen.refreshed > 0
    assert gap < calm_gap + INTERVAL


async def _storm(home: IssuerHome, store: Store, calm: Store, refresh_token: str, seen: Seen) -> None:
    """Offer logins; refresh, and look at the heartbeats, all the while."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(_watch(store, over, seen.beats))
        group.create_task(_watch(calm, over, seen.calm_beats))
        group.create_task(_refresh(home, refresh_token, over, seen))
        await _until(lambda: bool(seen.beats and seen.calm_beats))
        logins = await _offer(home, seen)
        await asyncio.gather(*logins)
        over.set()


async def _offer(home: IssuerHome, seen: Seen) -> "list[asyncio.Task[None]]":
    """So many a second, whatever comes of those before."""
    begin, tasks = time.monotonic(), list[asyncio.Task[None]]()

    async def one(number: int) -> None:
        try:
            async with Wire(home.url) as wire:
                seen.answers.append(await wire.login(f"person-{number % PEOPLE}", PASSWORD))
        except (OSError, asyncio.IncompleteReadError):
            seen.dropped += 1

    while (passed := time.monotonic() - begin) < SECONDS:
        due = int(RATE * passed) - len(tasks)
        tasks += [asyncio.create_task(one(len(tasks) + more)) for more in range(due)]
        await asyncio.sleep(TICK)
    return tasks


async def _refresh(home: IssuerHome, token: str, over: asyncio.Event, seen: Seen) -> None:
    """One session that goes on. A refusal for want of a turn is none of its end: the token is good for the next try."""
    async with Wire(home.url) as wire:
        while not over.is_set():
            answer = await wire.form("/token", {"grant_type": "refresh_token", "refresh_token": token})
            assert answer.status in (200, 503), answer.content
            if answer.status == 200:
                token, seen.refreshed = answer.content["refresh_token"], seen.refreshed + 1
            await asyncio.sleep(TICK)


async def _watch(store: Store, over: asyncio.Event, beats: list[float]) -> None:
    """Note when each new heartbeat is committed."""
    last = None
    while not over.is_set():
        async with store.read() as tx:
            raw = (await tx.execute(select(FEED_HEARTBEAT.c.raw))).scalar_one_or_none()
        if raw != last:
            beats.append(time.monotonic())
            last = raw
        await asyncio.sleep(TICK)


def _longest_gap(beats: list[float]) -> float:
    return max((later - earlier for earlier, later in pairwise(beats)), default=float(INTERVAL))


async def _sessions(store: Store) -> int:
    async with store.read() as tx:
        return int((await tx.execute(select(func.count()).select_from(SESSIONS))).scalar_one())


async def _login(home: IssuerHome) -> str:
    async with Wire(home.url) as wire:
        token: str = (await wire.login("person-0", PASSWORD)).content["refresh_token"]
        return token


@asynccontextmanager
async def _issuer(directory: Path, database: str | None) -> AsyncIterator[tuple[IssuerHome, Store]]:
    """A process that faces HTTP and writes the feed, and another look at its database. The broker is away."""
    settings = {"heartbeat_interval": str(INTERVAL), "password_profile": "rfc9106-low-memory"}
    if database is not None:
        settings["database"] = database
    broker = ExternalKafka(f"{LOCALHOST}:{find_free_port()}")
    directory.mkdir()
    home = await make_home(directory / "home", broker, "feed", **settings)
    loaded = load_settings(**{name.removeprefix("OSTRAKA_").lower(): value for name, value in home.environment.items()})
    async with open_accounts(loaded) as accounts:
        for number in range(PEOPLE):
            await accounts.add_user(f"person-{number}", PASSWORD, ["orders:read"])
    store = open_store(loaded)
    async with Zygote() as zygote:
        pid = await zygote.start({**os.environ, **home.environment}, log=home.log)
        try:
            await _until(lambda: _listens(home))
            yield home, store
        finally:
            os.kill(pid, 15)
            await zygote.wait(pid)
            await store.close()


def _listens(home: IssuerHome) -> bool:
    parts = urlsplit(home.url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=1).close()
    except OSError:
        return False
    return True


async def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(TICK)
