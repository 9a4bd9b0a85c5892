"""Cold start: from an empty process to the first right decision with many tokens denied; and their memory.

Three ways for a newcomer to get root document, snapshot and heartbeat: from a list in memory (what the trust core
costs), over HTTP, and from Apache Kafka.

Memory is what a process has more than one that denies ``FEW`` tokens. Beside it stands a set of as many 128-bit
integers, the least there is.
"""

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.table import Table

from benchmarks.processes import Worker
from ostraka_consumers.clock import ManualClock
from ostraka_consumers.trust.denylist import token_number
from ostraka_schemas import base64url
from ostraka_schemas.records import Head, Position
from ostraka_schemas.snapshots import Contents, cut
from ostraka_schemas.topics import FEED, SNAPSHOTS
from tests.consumers.sources.feed_server import FeedServer
from tests.kafka.broker import choose_broker
from tests.kafka.topics import create_topic
from tests.support.fake_issuer import FakeIssuer, published

FEW: Final = 1_000
SIZES: Final = (100_000, 1_000_000)
WAYS: Final = ("list", "http", "kafka")
ROUNDS: Final = 3
LIFETIMES: Final = range(10, 310)
"""Seconds after which the denied tokens end: all that a token of 300 s can have left."""


@dataclass
class Prepared:
    """What a newcomer finds, and two tokens."""

    issuer: FakeIssuer
    head: Head
    parts: list[bytes]
    good: str
    denied: str


def prepare(size: int) -> Prepared:
    """An issuer whose snapshot has ``size`` denied tokens."""
    issuer = FakeIssuer(clock=ManualClock(wall=time.time()))
    issuer.open()
    chance = random.Random(size)
    dead = base64url.encode(chance.randbytes(16)).decode()
    numbers = [*(chance.getrandbits(128) for _ in range(size - 1)), token_number(dead)]
    share = len(numbers) // len(LIFETIMES) + 1
    groups = [(issuer.now + after, numbers[n * share : (n + 1) * share]) for n, after in enumerate(LIFETIMES)]
    contents = Contents(
        latest_iat=issuer.now, keys=[published(issuer.token_key, now=issuer.now)], compromised=[], denied=groups
    )
    states = list(cut(contents))
    # The records that led there are gone: retention has passed them.
    head = Head(Position(1, size + 2), bytes(32))
    parts = [issuer.snapshot_part(state, n, len(states), head=head) for n, state in enumerate(states, start=1)]
    return Prepared(issuer, head, parts, issuer.token(), issuer.token(jti=dead))


Tell = Callable[[bytes], Awaitable[None]]


@asynccontextmanager
async def beating(prepared: Prepared, tell: Tell) -> AsyncIterator[None]:
    """A heartbeat every second while something is measured."""
    await tell(heartbeat(prepared))

    async def beat() -> None:
        while True:
            await asyncio.sleep(1)
            await tell(heartbeat(prepared))

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def heartbeat(prepared: Prepared) -> bytes:
    """One of now."""
    return prepared.issuer.heartbeat(head=prepared.head, iat=int(time.time()))


async def from_list(prepared: Prepared, directory: Path) -> list[dict[str, float]]:
    """The trust core alone."""
    figures = []
    for _ in range(ROUNDS):
        file = directory / "feed"
        file.write_bytes(b"\n".join([*prepared.issuer.root_files(), *prepared.parts, heartbeat(prepared)]))
        figures.append(await newcomer(prepared, directory, {"source": "list", "list": str(file)}))
    return figures


async def over_http(prepared: Prepared, directory: Path) -> list[dict[str, float]]:
    """From a server on this machine that has the bytes in memory."""
    server = FeedServer(prepared.issuer, snapshot=prepared.parts, roots=prepared.issuer.root_files())
    await server.start()

    async def tell(raw: bytes) -> None:
        server.heartbeat = raw
        await server.tell()

    try:
        async with beating(prepared, tell):
            config = {"source": "http", "http": server.url}
            return [await newcomer(prepared, directory, config) for _ in range(ROUNDS)]
    finally:
        await server.stop()


async def from_kafka(prepared: Prepared, directory: Path, bootstrap: str) -> list[dict[str, float]]:
    """From both topics of a broker on this machine; the feed's holds an hour of heartbeats."""
    for topic in (FEED, SNAPSHOTS):
        await create_topic(bootstrap, topic.name, configs=topic.configs)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_request_size=1024 * 1024)
    await producer.start()

    async def tell(raw: bytes) -> None:
        await producer.send_and_wait(FEED.name, raw)

    try:
        for raw in _old_heartbeats(prepared):
            await producer.send(FEED.name, raw)
        for raw in (*prepared.issuer.root_files(), *prepared.parts):
            await producer.send_and_wait(SNAPSHOTS.name, raw)
        async with beating(prepared, tell):
            config = {"source": "kafka", "kafka": bootstrap}
            return [await newcomer(prepared, directory, config) for _ in range(ROUNDS)]
    finally:
        await producer.stop()


def _old_heartbeats(prepared: Prepared) -> list[bytes]:
    now = int(time.time())
    return [prepared.issuer.heartbeat(head=prepared.head, iat=now - 3_600 + 5 * n) for n in range(720)]


async def newcomer(prepared: Prepared, directory: Path, config: dict[str, str]) -> dict[str, float]:
    """Start one process and take its figures."""
    anchor, file = directory / "anchor.json", directory / "worker.json"
    anchor.write_bytes(prepared.issuer.anchor.to_json())
    tokens = {"good": prepared.good, "denied": prepared.denied}
    file.write_text(json.dumps({**config, **tokens, "anchor": str(anchor)}))
    worker = await Worker.start("newcomer", file)
    try:
        return await worker.answer()
    finally:
        await worker.end()


async def measure(size: int) -> dict[str, Any]:
    """All three ways for one size: seconds, and bytes in all."""
    prepared = prepare(size)
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = choose_broker(killable=True).broker
        await broker.start()
        stack.push_async_callback(broker.stop)
        found = {
            "list": await from_list(prepared, directory),
            "http": await over_http(prepared, directory),
            "kafka": await from_kafka(prepared, directory, broker.bootstrap),
        }
        return {
            "parts": len(prepared.parts),
            "broker": broker.kind,
            "seconds": {way: sorted(run["seconds"] for run in runs) for way, runs in found.items()},
            "bytes": {way: sorted(run["bytes"] for run in runs)[ROUNDS // 2] for way, runs in found.items()},
            "floor": _floor_bytes(size),
        }


def _floor_bytes(size: int) -> float:
    """Bytes of one plain set of integers, in a process of its own."""
    code = (
        "import random, resource, pathlib\n"
        "rss = lambda: int(pathlib.Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()\n"
        f"before = rss(); kept = {{random.getrandbits(128) for _ in range({size})}}\n"
        f"print(rss() - before)"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def run(console: Console, *, as_json: bool) -> None:
    """Measure and print."""
    figures = {}
    for size in (FEW, *SIZES):
        with console.status(f"cold start with {size:,} denied tokens"):
            figures[size] = asyncio.run(measure(size))
    if as_json:
        console.print_json(json.dumps({"cold_start": figures}))
        return
    table = Table("denied", "from", "median s", "worst s", "bytes an entry", "plain set", title="cold start")
    for size in SIZES:
        found, few = figures[size], figures[FEW]
        for way in WAYS:
            seconds = found["seconds"][way]
            entry, floor = ((found["bytes"][way] - few["bytes"][way]) / (size - FEW), found["floor"] / size)
            columns = (f"{seconds[ROUNDS // 2]:.2f}", f"{seconds[-1]:.2f}", f"{entry:.0f}", f"{floor:.0f}")
            table.add_row(f"{size:,}", way, *columns)
    console.print(table)
