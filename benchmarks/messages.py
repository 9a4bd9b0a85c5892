"""What verification adds to a message: a FastStream handler with a verified token, and the same without.

The message goes in as it lies on the topic; everything that FastStream does with it is in both figures, no broker is.
"""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from faststream import AckPolicy
from faststream.kafka import KafkaBroker, TestKafkaBroker
from rich.console import Console
from rich.table import Table

from benchmarks.rounds import Paired, Work, interleaved
from benchmarks.verifiers import beat, following, issuer_of
from benchmarks.verify import WARMING
from ostraka_consumers import Verifier
from ostraka_consumers.integrations.faststream import OstrakaMiddleware
from tests.consumers.integrations.contract.messages import record
from tests.support.fake_issuer import FakeIssuer

ROUNDS: Final = 601
MESSAGES_A_ROUND: Final = 4
GOAL_US: Final = 10.0
WITHOUT: Final = "without verification"
SEEN: Final = "with a token seen before"
REQUIRED: Final = "the same, and a permission"
UNSEEN: Final = "with a token never seen"


@asynccontextmanager
async def handler(verifier: Verifier | None, require: str | None = None) -> AsyncIterator[Any]:
    """A subscriber, the same with and without a verifier in front of it."""
    broker = KafkaBroker(middlewares=[] if verifier is None else [OstrakaMiddleware(verifier, require=require)])

    @broker.subscriber("orders", group_id="orders", ack_policy=AckPolicy.ACK)
    async def take(order: dict[str, Any]) -> None:
        assert order["order"] == 1

    async with TestKafkaBroker(broker):
        yield broker.subscribers[0]


def handing(subscriber: Any, issuer: FakeIssuer, tokens: Sequence[str] | None, count: int) -> Work:
    """Hand so many messages to it, more than ``WARMING``: with one token over and over, or each with one of its own."""

    async def work() -> float:
        chosen = [issuer.token() for _ in range(count)] if tokens is None else [*tokens] * count
        messages = [record([("authorization", f"Bearer {token}".encode())]) for token in chosen]
        for message in messages[:WARMING]:
            await subscriber.process_message(message)
        begin = time.perf_counter()
        for message in messages[WARMING:]:
            await subscriber.process_message(message)
        return (time.perf_counter() - begin) / (count - WARMING) * 1e6

    return work


async def measure(*, rounds: int = ROUNDS, count: int = MESSAGES_A_ROUND) -> dict[str, Paired]:
    """Microseconds a message.

    Raises:
        RuntimeError: a message did not reach its handler.
    """
    issuer = issuer_of()
    async with AsyncExitStack() as stack:
        verifier = await stack.enter_async_context(following(issuer))
        plain = await stack.enter_async_context(handler(None))
        guarded = await stack.enter_async_context(handler(verifier))
        asking = await stack.enter_async_context(handler(verifier, "orders:create"))
        token = [issuer.token()]
        unguarded = handing(plain, issuer, token, count)

        async def with_news() -> float:
            verifier.deliver(beat(issuer))
            return await unguarded()

        works: dict[str, Work] = {
            WITHOUT: with_news,
            SEEN: handing(guarded, issuer, token, count),
            REQUIRED: handing(asking, issuer, token, count),
            UNSEEN: handing(guarded, issuer, None, count),
        }
        found = await interleaved(works, rounds, floor=WITHOUT)
        if refused := {name for name in verifier.status.counters if name.startswith("token.")}:
            raise RuntimeError(f"messages were refused, which is not what was to be measured: {refused}")
        return found


def added(one: Paired) -> float:
    """Microseconds more than the floor took in the same round: the median."""
    return statistics.median(value - floor for value, floor in zip(one.values, one.floor, strict=True))


def run(console: Console, *, as_json: bool) -> None:
    """Measure and print."""
    found = asyncio.run(measure())
    if as_json:
        figures = {name: {**one.to_dict(), "added_us": round(added(one), 2)} for name, one in found.items()}
        console.print_json(json.dumps({"faststream_us": figures}))
        return
    table = Table(
        "", "µs a message", "more, µs", title=f"a FastStream handler (goal: at most {GOAL_US:g} µs more, seen)"
    )
    for name, one in found.items():
        table.add_row(name, f"{one.median:.1f}", "" if name == WITHOUT else f"{added(one):.1f}")
    console.print(table)
