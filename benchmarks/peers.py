"""Ostraka next to what else decides about access tokens, for tokens never seen and for one that was seen before.

All take turns in the same rounds, so that each stands beside the bare signature check of the same moment. Redis and the
issuer that is asked (RFC 7662) are real servers in processes of their own, over the loopback, on the same cores.
"""

import asyncio
import json
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from redis import Redis
from rich.console import Console
from rich.table import Table

from benchmarks import checks, plots
from benchmarks.redis_server import MISSING, redis_program, running_redis
from benchmarks.refresh import Visitors, make_issuer, serving, visit
from benchmarks.rounds import Paired, Work, interleaved
from benchmarks.verifiers import beat, following, following_two, issuer_of
from benchmarks.verify import ALGORITHMS, BARE, OSTRAKA, Tokens, fresh_tokens, of_tokens
from ostraka_consumers import MultiIssuerVerifier, Verifier
from ostraka_schemas.jwk import Algorithm
from tests.support.fake_issuer import FakeIssuer

ROUNDS: Final = 301
TOKENS_A_ROUND: Final = 12
"""Many short turns, each less than what a busy machine gives a process at a time."""
QUICK: Final = 20
"""So many times more for those who need no signature check the second time; their turns are as long as the others'."""
ASKED_A_ROUND: Final = 2
DENIED: Final = 10_000
"""Entries of the deny list in Redis."""

TWO_ISSUERS: Final = "Ostraka, two issuers"
REDIS: Final = "PyJWT + Redis deny list"
ASKED: Final = "introspection (RFC 7662)"

ByKind = dict[str, dict[str, dict[str, Paired]]]
"""By ``cold`` or ``seen``, algorithm and contestant."""


@dataclass(frozen=True)
class Servers:
    """Those that have a process of their own; ``None`` where there is none."""

    redis: Redis | None = None
    visitors: Visitors | None = None


@asynccontextmanager
async def servers() -> AsyncIterator[Servers]:
    """Start them all, and end them with the block."""
    async with AsyncExitStack() as stack:
        program = redis_program()
        redis = None if program is None else stack.enter_context(running_redis(program))
        if redis is not None:
            redis.mset({f"{checks.DENIED}{n}": 1 for n in range(DENIED)})
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ostraka-bench-")))
        home, secret = await make_issuer(directory / "home")
        await stack.enter_async_context(serving(home))
        yield Servers(redis, await visit(stack, home, secret))


@dataclass(frozen=True)
class Stage:
    """One algorithm: an issuer, the verifiers that follow it, and everybody else who knows its key."""

    issuer: FakeIssuer
    one: Verifier
    two: MultiIssuerVerifier
    others: Servers

    def contestants(self) -> dict[str, checks.Check]:
        """How each decides, the floor first."""
        issuer, redis = self.issuer, self.others.redis
        found = {
            BARE: checks.bare(issuer.token_key),
            OSTRAKA: checks.ostraka(self.one),
            TWO_ISSUERS: checks.ostraka(self.two),
            "oxyjwt": checks.with_oxyjwt(issuer),
            "PyJWT": checks.with_pyjwt(issuer),
            "joserfc": checks.with_joserfc(issuer),
            "Authlib": checks.with_authlib(issuer),
        }
        return found if redis is None else {**found, REDIS: checks.with_redis(issuer, redis)}

    def works(self, tokens: int, *, seen: bool) -> dict[str, Work]:
        """What each does in a round: decide about tokens that it never saw, or about one over and over."""
        contestants = self.contestants()
        fresh = fresh_tokens(self.issuer, tokens, len(contestants))
        if seen:
            works = {name: of_tokens(check, self._again(name, tokens)) for name, check in contestants.items()}
        else:
            works = {name: of_tokens(check, fresh) for name, check in contestants.items()}
        works[BARE] = self._news_before(works[BARE])
        if self.others.visitors is not None:
            works[ASKED] = asking(self.others.visitors, min(tokens, ASKED_A_ROUND))
        return works

    def _again(self, name: str, tokens: int) -> Tokens:
        same = [self.issuer.token()] * (tokens * QUICK if name in (OSTRAKA, TWO_ISSUERS) else tokens)
        return lambda: same

    def _news_before(self, work: Work) -> Work:
        """The same work, and before it a heartbeat for the verifiers, which no one's clock sees."""

        async def with_news() -> float:
            raw = beat(self.issuer)
            for verifier in (self.one, self.two.of(self.issuer.issuer)):
                verifier.deliver(raw)
            return await work()

        return with_news


@asynccontextmanager
async def stage(alg: Algorithm, others: Servers) -> AsyncIterator[Stage]:
    """Everybody ready."""
    issuer = issuer_of(alg)
    async with following(issuer) as one, following_two(issuer) as two:
        yield Stage(issuer, one, two, others)


def asking(visitors: Visitors, count: int) -> Work:
    """Ask the issuer about one token so often; one question after the other, on one connection."""

    async def work() -> float:
        begin = time.perf_counter()
        for _ in range(count):
            await visitors.introspect(0)
        return (time.perf_counter() - begin) / count * 1e6

    return work


async def compare(others: Servers, algorithms: Sequence[Algorithm], rounds: int, tokens: int) -> ByKind:
    """Everything, for each algorithm."""
    found: ByKind = {"cold": {}, "seen": {}}
    for alg in algorithms:
        async with stage(alg, others) as ready:
            found["cold"][alg] = await interleaved(ready.works(tokens, seen=False), rounds, floor=BARE)
            found["seen"][alg] = await interleaved(ready.works(tokens, seen=True), rounds, floor=BARE)
    return found


async def measure(rounds: int) -> ByKind:
    """The same with all servers."""
    async with servers() as others:
        return await compare(others, ALGORITHMS, rounds, TOKENS_A_ROUND)


def run(console: Console, *, as_json: bool, directory: Path | None = None, rounds: int = ROUNDS) -> None:
    """Measure, print, and draw into ``directory`` if there is one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some speak of what they will no longer do
        found = asyncio.run(measure(rounds))
    show(console, found, as_json=as_json, rounds=rounds)
    if directory is not None:
        drawn = plots.draw(directory, "peers", {TITLES[kind]: by_alg for kind, by_alg in found.items()}, BARE)
        if not as_json:
            console.print("drawn:", ", ".join(str(path) for path in drawn), soft_wrap=True)


TITLES: Final = {"cold": "a token never seen", "seen": "a token seen before"}


def show(console: Console, found: ByKind, *, as_json: bool, rounds: int) -> None:
    """Print it, for machines or for people."""
    if as_json:
        console.print_json(json.dumps({"peers_us": to_dict(found)}))
        return
    for kind, by_alg in found.items():
        console.print(_table(f"{TITLES[kind]}: µs, medians of {rounds} rounds in turns; ÷ {BARE} (p10-p90)", by_alg))
    if not any(REDIS in ones for ones in found["cold"].values()):
        console.print(f"{REDIS} is not in it: {MISSING}", style="yellow")
    console.print(f"{ASKED} is about ES256 tokens in every column, through one connection that is kept.", style="dim")


def to_dict(found: ByKind) -> dict[str, Any]:
    """The same as plain JSON types."""
    return {
        kind: {alg: {name: one.to_dict() for name, one in ones.items()} for alg, ones in by_alg.items()}
        for kind, by_alg in found.items()
    }


def _table(title: str, by_alg: dict[str, dict[str, Paired]]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for alg in by_alg:
        table.add_column(alg, justify="right")
        table.add_column("÷", justify="right", style="bold")
        table.add_column("", justify="right", style="dim")
    for name in next(iter(by_alg.values())):
        table.add_row(name, *(cell for ones in by_alg.values() for cell in _cells(ones[name])))
    return table


def _cells(one: Paired) -> tuple[str, str, str]:
    low, high = one.ratio_spread
    return f"{one.median:,.1f}", f"{one.ratio:.2f}", f"{low:.2f}-{high:.2f}"
