"""How fast a verifier takes in the feed: revocations beside the bare signature checks, and revocations in bulk."""

import asyncio
import json
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.rounds import Fresh, Paired, interleaved, spread, timed
from benchmarks.verifiers import ENTRIES_A_RECORD, issuer_of
from ostraka_consumers import Verifier
from ostraka_consumers.trust.receipt import Outcome
from ostraka_schemas import base64url, jws
from ostraka_schemas.limits import RECORD_MAX_BYTES
from tests.support.fake_issuer import FakeIssuer
from tests.support.verifiers import fed_by_hand

ROUNDS: Final = 101
RECORDS_A_ROUND: Final = 20
BULK_RECORDS: Final = 200
APPLY_GOAL: Final = 0.8
BULK_GOAL: Final = 300_000
BARE: Final = "Ed25519 checks alone"
APPLY: Final = "records applied"


def bare_checks(issuer: FakeIssuer, raws: list[bytes]) -> list[Callable[[], object]]:
    """The signature check of each record, everything around it prepared."""
    public: Any = issuer.feed_key.private.public_key()
    checks: list[Callable[[], object]] = []
    for raw in raws:
        compact = jws.split(raw, max_bytes=RECORD_MAX_BYTES)
        signature, message = base64url.decode(compact.signature), compact.signing_input
        checks.append(partial(public.verify, signature, message))
    return checks


def say(issuer: FakeIssuer, number: int) -> bytes:
    """One of the revocations that concern single tokens or users, each about somebody else."""
    sub = f"user {len(issuer.records)}"
    sayings: list[Callable[[], bytes]] = [
        lambda: issuer.revoke_token(issuer.new_id(), issuer.now + 300),
        lambda: issuer.cut_session(sub, issuer.new_id()),
        lambda: issuer.cut_subject(sub),
        lambda: issuer.keep_only(sub, "orders:read"),
    ]
    return sayings[number % len(sayings)]()


def take(verifier: Verifier, raw: bytes) -> None:
    """Let it apply the next record, and nothing else become of it.

    Raises:
        RuntimeError: something else did.
    """
    receipt = verifier.deliver(raw)
    if receipt.outcome is not Outcome.APPLIED:
        raise RuntimeError(f"a record was not applied: {receipt.outcome} {receipt.reason}")


def newcomer(issuer: FakeIssuer) -> Verifier:
    """A verifier that has taken the root document and the key set."""
    issuer.open()
    verifier = fed_by_hand(issuer, remember=0)
    for raw in issuer.records:
        take(verifier, raw)
    return verifier


async def apply(*, rounds: int = ROUNDS, records: int = RECORDS_A_ROUND) -> dict[str, Paired]:
    """Microseconds a record: to apply it, and only to check its signature."""
    issuer = issuer_of()
    verifier = newcomer(issuer)
    fresh = Fresh(lambda: [say(issuer, n) for n in range(records)], 2)

    async def bare() -> float:
        return timed(bare_checks(issuer, fresh()))

    async def applied() -> float:
        return timed([partial(take, verifier, raw) for raw in fresh()])

    return await interleaved({BARE: bare, APPLY: applied}, rounds, floor=BARE)


def bulk(*, records: int = BULK_RECORDS) -> list[float]:
    """Revoked tokens a second, by records of as many as fit: one figure for each record."""
    issuer = issuer_of()
    verifier = newcomer(issuer)
    rates = []
    for _ in range(records):
        raw = issuer.revoke_tokens(*((issuer.new_id(), issuer.now + 300) for _ in range(ENTRIES_A_RECORD)))
        rates.append(ENTRIES_A_RECORD / timed([partial(take, verifier, raw)]) * 1e6)
    return rates


def run(console: Console, *, as_json: bool) -> None:
    """Measure and print."""
    applied, rates = asyncio.run(apply()), bulk()
    share, entries = 1 / applied[APPLY].ratio, statistics.median(rates)
    if as_json:
        figures = {name: one.to_dict() for name, one in applied.items()}
        found = {
            "us": figures,
            "apply_rate": round(share, 3),
            "bulk_per_s": round(entries),
            "bulk_spread": spread(rates),
        }
        console.print_json(json.dumps({"feed": found}))
        return
    table = Table("", "µs a record", "records a second", title="single revocations")
    for name, one in applied.items():
        table.add_row(name, f"{one.median:.1f}", f"{1e6 / one.median:,.0f}")
    console.print(table)
    console.print(f"{share:.2f} of the bare rate (goal: at least {APPLY_GOAL:g})")
    low, high = spread(rates)
    console.print(
        f"in bulk, {ENTRIES_A_RECORD:,} a record: {entries:,.0f} entries/s, p10 {low:,.0f}, p90 {high:,.0f} "
        f"(goal: at least {BULK_GOAL:,})"
    )
