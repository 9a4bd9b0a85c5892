"""Live grants: what each costs while it is watched, and what a revocation costs with none and with many others.

Beside each figure stands its floor in the same run: a task that waits for a plain future, and the record being verified
and applied with nobody watching.
"""

import asyncio
import gc
import json
import resource
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from ostraka_consumers.clock import ManualClock
from ostraka_consumers.grant import Grant
from ostraka_consumers.live import Watch
from ostraka_consumers.trust.core import TrustCore
from ostraka_consumers.trust.cutoffs import ISSUER, Key
from ostraka_consumers.trust.tokens import GenuineToken, TokenReader
from tests.support.fake_issuer import FakeIssuer, published

MANY: Final = 100_000
ROUNDS: Final = 300


class House:
    """A trust core and those who watch grants of it, without sources."""

    def __init__(self) -> None:
        self.issuer = FakeIssuer(clock=ManualClock())
        self.core = TrustCore(self.issuer.anchor)
        self.watch = Watch(self.core, self.issuer.clock)
        self.watch.start()
        self.tasks: list[asyncio.Task[Any]] = []
        for raw in [*self.issuer.open(), self.issuer.heartbeat()]:
            self.core.receive(raw, self.issuer.clock.now())
        reader = TokenReader(self.issuer.issuer, frozenset({"orders"}))
        self.token = reader.read(self.issuer.token(), self.core.keys)

    def somebody(self, n: int) -> GenuineToken:
        """A token of somebody else, at the price of none."""
        holders = (ISSUER, Key("client", "web"), Key("subject", f"user {n}"), Key("session", f"session {n}"))
        return replace(self.token, number=n, holders=holders, claims=self.token.claims)

    async def wait_for(self, tokens: list[GenuineToken]) -> None:
        """A task each that waits for the end of its grant."""
        expected = len(self.watch) + len(tokens)
        waiting = (Grant(self.core, token, self.watch).ended("orders:read") for token in tokens)
        self.tasks += [asyncio.create_task(work) for work in waiting]
        await asyncio.sleep(0)  # each is watched after its first step
        assert len(self.watch) == expected

    def apply(self, raw: bytes) -> tuple[float, float]:
        """Seconds for the core to take a record, and for the end of those whom it concerns."""
        at = self.issuer.clock.now()
        began = time.perf_counter()
        receipt = self.core.receive(raw, at)
        applied = time.perf_counter()
        self.watch.notice(receipt.applied, at)
        return applied - began, time.perf_counter() - applied

    async def close(self) -> None:
        await asyncio.gather(*self.watch.close(), *self.tasks, return_exceptions=True)


def resident() -> int:
    """Bytes of memory in use."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def futures_each() -> float:
    """Bytes of a task that waits for a future."""

    async def plain() -> None:
        await asyncio.get_running_loop().create_future()

    before = resident()
    tasks = [asyncio.create_task(plain()) for _ in range(MANY)]
    await asyncio.sleep(0)
    found = resident() - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found / MANY


async def watched_each() -> float:
    """Bytes of a task that waits for the end of its grant; the tokens were there before."""
    house = House()
    tokens = [house.somebody(n) for n in range(MANY)]
    before = resident()
    await house.wait_for(tokens)
    found = resident() - before
    await house.close()
    return found / MANY


def bytes_of_a_task() -> float:
    return asyncio.run(futures_each())


def bytes_of_a_watch() -> float:
    return asyncio.run(watched_each())


def alone(measurement: Callable[[], float]) -> float:
    """Run it in a process of its own, where no memory lies ready that another has left."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(measurement).result()


async def one_of(others: list[int]) -> dict[int, dict[str, float]]:
    """Microseconds that the revocation of one costs, medians, with so many others; interleaved."""
    houses = {many: House() for many in others}
    for many, house in houses.items():
        await house.wait_for([house.somebody(n) for n in range(many)])
    figures: dict[int, list[tuple[float, float]]] = {many: [] for many in others}
    for n in range(ROUNDS):
        for many, house in houses.items():
            jti = f"token {n}"
            reader = TokenReader(house.issuer.issuer, frozenset({"orders"}))
            await house.wait_for([reader.read(house.issuer.token(jti=jti, sub="it"), house.core.keys)])
            figures[many].append(house.apply(house.issuer.revoke_token(jti, house.issuer.now + 300)))
            ending = await house.tasks.pop()
            assert (ending.reason, len(house.watch)) == ("revoked", many)
    for house in houses.values():
        await house.close()
    return {
        many: {
            "apply": statistics.median(apply for apply, _ in found) * 1e6,
            "end": statistics.median(end for _, end in found) * 1e6,
        }
        for many, found in figures.items()
    }


async def all_of_them(say: Callable[[House], Awaitable[None]]) -> dict[str, float]:
    """Seconds until all of ``MANY`` were told, and how long others waited for their turn: nearly all, and the longest.

    The longest is often a collection of garbage, which looks at everything that lives.
    """
    house = House()
    await house.wait_for([house.somebody(n) for n in range(MANY)])
    gc.collect()
    gaps = []
    began = last = time.perf_counter()
    await say(house)
    gaps.append(time.perf_counter() - last)
    while len(house.watch):
        last = time.perf_counter()
        await asyncio.sleep(0)
        gaps.append(time.perf_counter() - last)
    seconds = time.perf_counter() - began
    await house.close()
    return {"seconds": seconds, "turn_p90": sorted(gaps)[len(gaps) * 9 // 10], "turn_max": max(gaps)}


async def cut_everyone(house: House) -> None:
    house.apply(house.issuer.cut_everyone())


async def compromise(house: House) -> None:
    issuer = house.issuer
    house.apply(issuer.publish_keys(published(issuer.token_key, now=issuer.now, state="compromised")))


async def go_stale(house: House) -> None:
    house.issuer.clock.advance(61)
    house.watch.look()


async def measure() -> dict[str, Any]:
    return {
        "bytes": {"task": alone(bytes_of_a_task), "watched": alone(bytes_of_a_watch)},
        "one": {str(many): found for many, found in (await one_of([0, MANY])).items()},
        "all": {
            "cut-off for everyone": await all_of_them(cut_everyone),
            "key compromised": await all_of_them(compromise),
            "no news": await all_of_them(go_stale),
        },
    }


def run(console: Console, *, as_json: bool) -> None:
    """Measure and print."""
    with console.status(f"{MANY:,} live grants"):
        found = asyncio.run(measure())
    if as_json:
        console.print_json(json.dumps({"live_grants": found}))
        return
    each = found["bytes"]
    console.print(
        f"memory: {each['watched']:.0f} bytes for a task that waits for the end of its grant, "
        f"{each['task']:.0f} for one that waits for a future"
    )
    table = Table("others", "record applied, µs", "its grant ended, µs", title="revocation of one live grant")
    for others, one in found["one"].items():
        table.add_row(f"{int(others):,}", f"{one['apply']:.0f}", f"{one['end']:.1f}")
    console.print(table)
    table = Table("what ends them", "all told, s", "turn p90, ms", "longest, ms", title=f"{MANY:,} live grants at once")
    for what, whole in found["all"].items():
        table.add_row(
            what, f"{whole['seconds']:.2f}", f"{whole['turn_p90'] * 1e3:.1f}", f"{whole['turn_max'] * 1e3:.0f}"
        )
    console.print(table)
