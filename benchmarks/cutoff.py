"""From "revocation committed" to "refused", beside bare produce to consume on the same broker.

One issuer process on SQLite; N verifier processes that ask for the very token as soon as its revocation was applied; N
bare consumer processes that note when a record of the same size comes in. Blocks of both take turns in one run.
"""

import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.progress import Progress

from benchmarks.processes import Worker
from benchmarks.stats import Distribution, print_table
from ostraka_issuer.api_client import ApiClient
from ostraka_schemas import base64url
from ostraka_schemas.topics import FEED
from tests.kafka.broker import Broker, choose_broker
from tests.kafka.topics import create_topic
from tests.support.stack import PASSWORD, IssuerHome, make_home, running_issuer

BLOCK: Final = 50
PAUSE_SECONDS: Final = 0.02
RECORD_BYTES: Final = 700
FLOOR: Final = "produce → consume"
OURS: Final = "committed → refused"


@dataclass
class Run:
    """The parts of one run and what was measured: id → wall-clock seconds of its beginning."""

    home: IssuerHome
    client: ApiClient
    producer: AIOKafkaProducer
    floor_topic: str
    verifiers: list[Worker]
    consumers: list[Worker]
    committed: dict[str, float]
    produced: dict[str, float]


async def measure(revocations: int, verifiers: int, console: Console) -> tuple[str, dict[str, Distribution]]:
    """Run it; returns the broker's name and both distributions, in milliseconds."""
    broker = choose_broker(killable=True).broker
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ostraka-bench-")))
        await broker.start()
        stack.push_async_callback(broker.stop)
        run = await _prepare(stack, directory, broker, verifiers)
        tokens = await _tokens(run.client, revocations)
        for worker in run.verifiers:
            await worker.say(tokens)
        for worker in run.verifiers:
            await worker.answer()
        await _blocks(run, list(tokens), console)
        seen = [await worker.finish(revocations) for worker in run.verifiers]
        floor = [await worker.finish(revocations) for worker in run.consumers]
    return broker.kind, {
        FLOOR: _latencies(run.produced, floor),
        OURS: _latencies(run.committed, seen),
    }


async def _prepare(stack: AsyncExitStack, directory: Path, broker: Broker, count: int) -> Run:
    floor_topic = "floor"
    await create_topic(broker.bootstrap, floor_topic, configs=FEED.configs if broker.true_kafka else None)
    home = await make_home(directory / "home", broker, FEED.name)
    client = await stack.enter_async_context(running_issuer(home))
    producer = AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap, acks="all", enable_idempotence=broker.true_kafka, linger_ms=0
    )
    await producer.start()
    stack.push_async_callback(producer.stop)
    config = directory / "worker.json"
    anchor = str(home.path / "anchor.json")
    common = {"kafka": broker.bootstrap, "audience": "orders", "anchor": anchor}
    config.write_text(json.dumps({**common, "topic": home.topic}))
    floor_config = directory / "floor.json"
    floor_config.write_text(json.dumps({**common, "topic": floor_topic}))
    return Run(
        home,
        client,
        producer,
        floor_topic,
        await _workers(stack, "verifier", config, count),
        await _workers(stack, "consumer", floor_config, count),
        {},
        {},
    )


async def _workers(stack: AsyncExitStack, kind: str, config: Path, count: int) -> list[Worker]:
    workers = []
    for _ in range(count):
        worker = await Worker.start(kind, config)
        stack.push_async_callback(worker.end)
        workers.append(worker)
    for worker in workers:
        await worker.answer()
    return workers


async def _tokens(client: ApiClient, count: int) -> dict[str, str]:
    """As many good tokens as will be revoked, by ``jti``."""
    login = await client.login("alice", PASSWORD)
    tokens, refresh = {}, login.refresh_token
    for _ in range(count):
        issued = await client.refresh(refresh)
        tokens[_jti(issued.access_token)] = issued.access_token
        refresh = issued.refresh_token
    return tokens


def _jti(token: str) -> str:
    jti: str = json.loads(base64url.decode(token.split(".")[1].encode()))["jti"]
    return jti


async def _blocks(run: Run, ids: list[str], console: Console) -> None:
    operator = (await run.client.login("operator", PASSWORD)).access_token
    pause = random.Random(1)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("revoking", total=len(ids))
        for begin in range(0, len(ids), BLOCK):
            block = ids[begin : begin + BLOCK]
            for jti in block:
                answer = await run.client.revoke(operator, {"kind": "token", "jti": jti, "reason": "benchmark"})
                run.committed[jti] = answer.committed_at
                await asyncio.sleep(PAUSE_SECONDS * (0.5 + pause.random()))
                progress.advance(task)
            for jti in block:
                run.produced[jti] = time.time()
                await run.producer.send_and_wait(
                    run.floor_topic, os.urandom(RECORD_BYTES), key=jti.encode(), partition=0
                )
                await asyncio.sleep(PAUSE_SECONDS * (0.5 + pause.random()))


def _latencies(begun: dict[str, float], seen: Iterable[dict[str, float]]) -> Distribution:
    """Milliseconds for every pair of a beginning and a process. Raises if one was never seen."""
    samples: list[float] = []
    for process in seen:
        missing = begun.keys() - process.keys()
        if missing:
            raise RuntimeError(f"{len(missing)} of {len(begun)} never came in")
        samples.extend((process[name] - at) * 1_000 for name, at in begun.items())
    return Distribution.of(samples)


def run(console: Console, *, revocations: int, verifiers: int, as_json: bool) -> None:
    """Measure and print."""
    kind, rows = asyncio.run(measure(revocations, verifiers, console))
    if as_json:
        figures = {name: distribution.to_dict() for name, distribution in rows.items()}
        console.print_json(json.dumps({"broker": kind, "verifiers": verifiers, "ms": figures}))
        return
    title = f"{revocations} revocations, {verifiers} processes each, {kind}"
    print_table(console, title, "ms", rows, floor=FLOOR)
