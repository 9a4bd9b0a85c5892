"""What a decision costs: a token never seen, beside the bare signature check; and one seen before, beside a look-up.

The peers stand in a table of their own: ``benchmarks.peers``.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks import checks
from benchmarks.rounds import Fresh, Paired, Work, interleaved, timed
from benchmarks.verifiers import following, issuer_of
from ostraka_schemas.jwk import Algorithm
from tests.support.fake_issuer import FakeIssuer

ROUNDS: Final = 301
TOKENS_A_ROUND: Final = 12
SEEN_A_ROUND: Final = 200
"""Many short turns, each less than what a busy machine gives a process at a time."""
WARMING: Final = 2
"""The first calls of a turn find the caches full of what the others left there; they are made, and not counted."""
DENIED: Final = 1_000_000
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("ES256", "EdDSA", "RS256")
BARE: Final = "cryptography alone"
OSTRAKA: Final = "Ostraka"
LOOK_UP: Final = "dict look-up and clock"

Tokens = Callable[[], Sequence[str]]


def of_tokens(check: checks.Check, tokens: Tokens) -> Work:
    """The work of deciding about ``tokens``, of which there are more than ``WARMING``."""

    async def work() -> float:
        calls = [check(token) for token in tokens()]
        for call in calls[:WARMING]:
            call()
        return timed(calls[WARMING:])

    return work


def fresh_tokens(issuer: FakeIssuer, count: int, contestants: int) -> Fresh[list[str]]:
    """So many tokens in each round that nobody has seen."""
    return Fresh(lambda: [issuer.token() for _ in range(count)], contestants)


async def cold(alg: Algorithm, *, rounds: int = ROUNDS, tokens: int = TOKENS_A_ROUND) -> dict[str, Paired]:
    """Microseconds for a token that was never seen."""
    issuer = issuer_of(alg)
    fresh = fresh_tokens(issuer, tokens, 2)
    async with following(issuer, remember=0) as verifier:
        works = {
            BARE: of_tokens(checks.bare(issuer.token_key), fresh),
            OSTRAKA: of_tokens(checks.ostraka(verifier), fresh),
        }
        return await interleaved(works, rounds, floor=BARE)


async def seen(*, rounds: int = ROUNDS, calls: int = SEEN_A_ROUND, denied: int = DENIED) -> dict[str, Paired]:
    """Microseconds for a token seen before: with nothing denied, and with so many entries."""
    issuers = [issuer_of() for _ in range(2)]
    async with following(issuers[0]) as empty, following(issuers[1], denied=denied) as full:
        tokens = [issuer.token() for issuer in issuers]
        table = {tokens[0]: object()}
        works: dict[str, Callable[[], Awaitable[float]]] = {
            LOOK_UP: of_tokens(lambda token: lambda: (table.get(token), time.time()), lambda: tokens[:1] * calls),
            "seen, 0 denied": of_tokens(checks.ostraka(empty), lambda: tokens[:1] * calls),
            f"seen, {denied:,} denied": of_tokens(checks.ostraka(full), lambda: tokens[1:] * calls),
        }
        return await interleaved(works, rounds, floor=LOOK_UP)


def run(console: Console, *, as_json: bool) -> None:
    """Measure and print."""
    cold_figures = {alg: asyncio.run(cold(alg)) for alg in ALGORITHMS}
    seen_figures = asyncio.run(seen())
    if as_json:
        figures = {alg: {name: one.to_dict() for name, one in found.items()} for alg, found in cold_figures.items()}
        seen_dicts = {name: one.to_dict() for name, one in seen_figures.items()}
        console.print_json(json.dumps({"cold_us": figures, "seen_us": seen_dicts}))
        return
    table = Table("algorithm", BARE, OSTRAKA, "÷ bare", title="a token never seen (µs)")
    for alg, found in cold_figures.items():
        ratio = f"{found[OSTRAKA].ratio:.2f}"
        table.add_row(alg, f"{found[BARE].median:.1f}", f"{found[OSTRAKA].median:.1f}", ratio)
    console.print(table)
    table = Table("", "µs", title="a token seen before")
    for name, value in seen_figures.items():
        table.add_row(name, f"{value.median:.2f}")
    console.print(table)
