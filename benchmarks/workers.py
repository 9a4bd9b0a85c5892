"""The processes that are measured: each is told what to do by a JSON file and answers with JSON lines.

    python -m benchmarks.workers verifier CONFIG    follows the feed, and notes when each token is first refused
    python -m benchmarks.workers consumer CONFIG    reads a topic, and notes when each record comes in
    python -m benchmarks.workers newcomer CONFIG    starts with nothing, and notes when it first decides rightly

The last one answers with its figures. The others print ``{"ready": true}``; told ``{"expect": n}`` they wait until they
have seen n, print ``{"seen": {id: wall-clock seconds}}`` and end.
"""

import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from ostraka_consumers import Revoked, TrustAnchor, Verifier
from ostraka_consumers.sources import HttpSource, KafkaSource
from ostraka_consumers.sources.base import Source
from ostraka_consumers.trust.instant import Instant
from ostraka_consumers.trust.receipt import Receipt
from ostraka_schemas.subjects import JwtId
from tests.support.verifiers import ListSource

SETTLE_SECONDS = 20.0


class WatchingVerifier(Verifier):
    """Asks for the very token that a record is about, at the moment the record was applied."""

    tokens: dict[str, str]
    seen: dict[str, float]

    def _take(self, raw: bytes, at: Instant) -> Receipt:
        receipt = super()._take(raw, at)
        for record in receipt.applied:
            if isinstance(record.subject, JwtId) and record.subject.jti in self.tokens:
                try:
                    self.verify(self.tokens[record.subject.jti])
                except Revoked:
                    self.seen[record.subject.jti] = time.time()
        return receipt


async def verifier(config: dict[str, Any]) -> dict[str, float]:
    """Follow the feed until standard input ends."""
    watching = WatchingVerifier(
        TrustAnchor.load(config["anchor"]),
        audience=config["audience"],
        sources=[KafkaSource(config["kafka"], topic=config["topic"])],
    )
    watching.tokens, watching.seen = {}, {}
    async with watching:
        tell({"ready": True})
        tokens: dict[str, str] = json.loads(await line_from_stdin())
        for token in tokens.values():
            watching.verify(token)
        watching.tokens = tokens
        tell({"armed": len(tokens)})
        await all_seen(watching.seen)
    return watching.seen


async def consumer(config: dict[str, Any]) -> dict[str, float]:
    """Read a topic until standard input ends: the floor."""
    partition = TopicPartition(config["topic"], 0)
    reader = AIOKafkaConsumer(bootstrap_servers=config["kafka"], auto_offset_reset="earliest", enable_auto_commit=False)
    await reader.start()
    seen: dict[str, float] = {}
    try:
        reader.assign([partition])
        await reader.position(partition)

        async def read() -> None:
            while True:
                for records in (await reader.getmany(timeout_ms=1_000)).values():
                    now = time.time()
                    for record in records:
                        if record.key is not None:
                            seen[record.key.decode()] = now

        task = asyncio.create_task(read())
        tell({"ready": True})
        await all_seen(seen)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    finally:
        await reader.stop()
    return seen


async def newcomer(config: dict[str, Any]) -> dict[str, float]:
    """Start a verifier on an empty process; how long until a good token is accepted and a denied one refused."""
    sources: dict[str, Callable[[], Source]] = {
        "list": lambda: ListSource(Path(config["list"]).read_bytes().split(b"\n")),
        "kafka": lambda: KafkaSource(config["kafka"]),
        "http": lambda: HttpSource(config["http"]),
    }
    source = sources[config["source"]]()
    gc.collect()
    before, began = resident_bytes(), time.perf_counter()
    verifier = Verifier(TrustAnchor.load(config["anchor"]), audience="orders", sources=[source], remember=0)
    async with verifier:
        verifier.verify(config["good"])
        try:
            verifier.verify(config["denied"])
        except Revoked:
            pass
        else:
            raise RuntimeError("a denied token was accepted")
        seconds = time.perf_counter() - began
        denied = verifier.status.denied
        del source
        gc.collect()
        return {"seconds": seconds, "denied": denied, "bytes": resident_bytes() - before}


def resident_bytes() -> int:
    """Resident set size of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def all_seen(seen: dict[str, float]) -> None:
    """Wait until as much was seen as is expected, or until it is clear that something was lost."""
    expected = json.loads(await line_from_stdin())["expect"]
    deadline = time.monotonic() + SETTLE_SECONDS
    while len(seen) < expected and time.monotonic() < deadline:  # noqa: ASYNC110 - counted by a synchronous call
        await asyncio.sleep(0.05)


def tell(value: dict[str, Any]) -> None:
    """Answer with one line."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


async def line_from_stdin() -> str:
    """One line, without blocking the loop."""
    return await asyncio.to_thread(sys.stdin.readline)


def main(arguments: list[str]) -> None:
    """Run as a command."""
    kind, path = arguments
    config = json.loads(Path(path).read_text())
    if kind == "newcomer":
        tell(asyncio.run(newcomer(config)))
        return
    work = {"verifier": verifier, "consumer": consumer}[kind]
    tell({"seen": asyncio.run(work(config))})


if __name__ == "__main__":
    main(sys.argv[1:])
