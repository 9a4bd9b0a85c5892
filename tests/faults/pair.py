"""Several issuer processes on one database, revocations asked of all of them, and a verifier that knows the topic."""

import asyncio
import os
import random
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition

from ostraka_consumers import Verifier
from ostraka_consumers.sources import KafkaSource
from ostraka_issuer.api_client import ApiClient, IssuerRefused, IssuerUnreachable
from ostraka_issuer.desk.ports import find_free_port
from ostraka_issuer.feed.log import FeedLog
from ostraka_issuer.settings import load_settings
from ostraka_issuer.store import open_store
from ostraka_schemas import base64url, strict_json
from ostraka_schemas.errors import MalformedError
from ostraka_schemas.records import Position, Record, read_payload
from tests.kafka.broker import Broker
from tests.support.stack import PASSWORD, IssuerHome, make_home, until_ready
from tests.support.zygote import Zygote

DEADLINE = 60.0
ASK_SECONDS = 15.0


@dataclass
class Replica:
    """One issuer process."""

    url: str
    environment: dict[str, str]
    log: Path
    pid: int
    client: ApiClient

    async def readyz(self) -> dict[str, Any]:
        """What it says of itself; empty if it does not answer."""
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=2.0) as http:
                body = (await http.get(f"{self.url}/readyz")).json()
        except (httpx.HTTPError, ValueError):
            return {}
        return body if isinstance(body, dict) else {}

    async def writes(self) -> bool:
        """Whether it has the lease, by its own words."""
        return bool((await self.readyz()).get("lease", {}).get("held"))


@dataclass
class Pair:
    """One home, its processes, and what their callers were told."""

    home: IssuerHome
    zygote: Zygote
    verifier: Verifier
    replicas: list[Replica] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    refused: int = 0

    async def start(self, *, role: str = "all") -> Replica:
        """Start one more process, and wait until it is ready."""
        port = find_free_port()
        environment = {**os.environ, **self.home.environment, "OSTRAKA_HTTP_PORT": str(port), "OSTRAKA_ROLE": role}
        log = self.home.path.with_name(f"issuer-{len(self.replicas)}.log")
        pid = await self.zygote.start(environment, log=log)
        url = f"http://127.0.0.1:{port}"
        replica = Replica(url, environment, log, pid, ApiClient(url, timeout=ASK_SECONDS))
        self.replicas.append(replica)
        await until_ready(replica.client, self.home)
        return replica

    async def end(self, replica: Replica, number: signal.Signals) -> int:
        """End a process by a signal; returns its exit code."""
        os.kill(replica.pid, number)
        code = await self.zygote.wait(replica.pid)
        self.replicas.remove(replica)
        await replica.client.__aexit__(None, None, None)
        return code

    async def writer(self) -> Replica:
        """The one that has the lease."""
        found: list[Replica] = []

        async def one_writes() -> bool:
            found[:] = [replica for replica in self.replicas if await replica.writes()]
            return len(found) == 1

        await until(one_writes, lambda: "one process writes the feed")
        return found[0]

    async def revoke(self, replica: Replica, operator: str) -> bool:
        """Put a token on the deny list; whether that was acknowledged."""
        jti = uuid.uuid4().hex
        try:
            await replica.client.revoke(operator, {"kind": "token", "jti": jti, "reason": "test"})
        except (IssuerUnreachable, IssuerRefused):
            self.refused += 1
            return False
        self.acknowledged.add(jti)
        return True

    async def revoke_on(self, replica: Replica, operator: str, pause: Callable[[], float]) -> None:
        """Revoke at this process until cancelled."""
        while True:
            await self.revoke(replica, operator)
            await asyncio.sleep(pause())

    async def operator(self) -> str:
        """A token that all processes take."""
        return (await self.replicas[0].client.login("operator", PASSWORD)).access_token

    async def stored(self) -> list[bytes]:
        """The records of the database, in order."""
        store = open_store(load_settings(**_values(self.home.environment)))
        try:
            return [record.raw for record in await FeedLog(store).after(None, 1_000_000)]
        finally:
            await store.close()

    async def judge(self) -> str:
        """Wait for the end of everything, and hold it against the promises; returns what is told of it."""
        await until(self._all_is_told, lambda: f"everything published and applied: {self.verifier.status}")
        stored = await self.stored()
        topic = await topic_values(self.home)
        contents_at = contents(topic)
        twice = [place for place, found in contents_at.items() if len(found) > 1]
        assert twice == []
        known = set(stored)
        distinct = dict.fromkeys(value for value in topic if value in known)
        assert list(distinct) == stored, "the topic holds the database's records, in their order"
        assert set(contents_at) == {record.position for raw in stored if (record := read_record(raw)) is not None}
        told = {jti for raw in stored if (jti := denied(raw)) is not None}
        assert self.acknowledged <= told, f"lost: {len(self.acknowledged - told)}"
        status = self.verifier.status
        assert status.freshness == "fresh"
        assert status.alarms == ()
        return f"{len(self.acknowledged)} revocations acknowledged, {self.refused} refused, {len(stored)} records"

    async def _all_is_told(self) -> bool:
        stored, status = await self.stored(), self.verifier.status
        newest = read_record(stored[-1])
        assert newest is not None
        fresh = status.freshness == "fresh" and status.head is not None
        return fresh and status.head is not None and status.head.position == newest.position


async def until(condition: Callable[[], Awaitable[bool]], what: Callable[[], str]) -> float:
    """Wait until it holds; returns after how many seconds it did."""
    begin = time.monotonic()
    while not await condition():
        assert time.monotonic() - begin < DEADLINE, what()
        await asyncio.sleep(0.02)
    return time.monotonic() - begin


@asynccontextmanager
async def open_pair(broker: Broker, directory: Path, topic: str, database: str | None) -> AsyncIterator[Pair]:
    """Two processes on one database, SQLite in the home or at the URL ``database``, and a verifier; all ready."""
    settings = {"heartbeat_interval": "1"} | ({} if database is None else {"database": database})
    home = await make_home(directory / "home", broker, topic, **settings)
    source = KafkaSource(broker.bootstrap, topic=topic, fetch_max_wait_ms=20)
    async with Zygote() as zygote:
        pair = Pair(home, zygote, Verifier(home.anchor, audience="orders", sources=[source], ready_timeout=DEADLINE))
        try:
            for _ in range(2):
                await pair.start()
            async with pair.verifier:
                yield pair
        finally:
            for replica in pair.replicas:
                await replica.client.__aexit__(None, None, None)


async def stop_at_random(pair: Pair, rounds: int, chance: random.Random, longest: float) -> list[float]:
    """Under load, stop one of the processes at a random moment and let it go on, so often; returns how long each."""
    operator = await pair.operator()
    load = [
        asyncio.create_task(pair.revoke_on(replica, operator, lambda: chance.uniform(0, 0.02)))
        for replica in pair.replicas
    ]
    spans = []
    try:
        for _ in range(rounds):
            await asyncio.sleep(chance.uniform(0, 0.5))
            victim = chance.choice(pair.replicas)
            spans.append(chance.uniform(0, longest))
            os.kill(victim.pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(spans[-1])
            finally:
                os.kill(victim.pid, signal.SIGCONT)
        await asyncio.sleep(chance.uniform(0, 0.5))
    finally:
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
    return spans


def read_record(raw: bytes) -> Record | None:
    """What a record says, not verified; ``None`` for anything else."""
    try:
        content = read_payload(base64url.decode(raw.split(b".")[1]))
    except (MalformedError, IndexError):
        return None
    return content if isinstance(content, Record) else None


def contents(values: list[bytes]) -> Mapping[Position, set[bytes]]:
    """The different contents that each position has among these values."""
    found: dict[Position, set[bytes]] = {}
    for value in values:
        record = read_record(value)
        if record is not None:
            found.setdefault(record.position, set()).add(value)
    return found


def denied(raw: bytes) -> str | None:
    """The token that a record puts on the deny list."""
    payload = strict_json.loads_object(base64url.decode(raw.split(b".")[1]))
    jti = payload["sub_id"].get("jti")
    return jti if isinstance(jti, str) else None


async def topic_values(home: IssuerHome) -> list[bytes]:
    """Everything that the topic of the feed holds."""
    consumer = AIOKafkaConsumer(bootstrap_servers=home.kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partition = TopicPartition(home.topic, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        values: list[bytes] = []
        async with asyncio.timeout(DEADLINE):
            while await consumer.position(partition) < end:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    values += [record.value for record in records if record.value is not None]
        return values
    finally:
        await consumer.stop()


def _values(environment: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix("OSTRAKA_").lower(): value for name, value in environment.items()}
