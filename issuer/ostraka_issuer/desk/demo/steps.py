"""The steps of the story up to the keys. Each changes the world, waits for what must follow, and proves it."""

import asyncio
import time
from functools import partial
from typing import Final

from ostraka_issuer.accounts.offline import open_accounts
from ostraka_issuer.settings import load_settings

from .attempts import Attempt, Verdict
from .measure import tally
from .report import Outcome
from .world import PATIENCE, Person, World, all_accepted, all_refused, require, until

ENOUGH: Final = 40
"""Orders that each service must have decided before a step believes what it sees."""

ROTATIONS: Final = 3
ROTATION_LEAD: Final = 1
"""Seconds; a day in production. The verifiers know the new key long before it signs even so."""

RENEWAL_PAUSE: Final = 0.05
"""Seconds between two renewals of a token while a key is awaited."""

OLD: Final = "before the permission was revoked"
"""Alice's token of that time, kept to be tried again."""

ORDERS: Final = "orders:create"


def of(world: World, since: int, permission: str | None = None) -> list[Attempt]:
    """The attempts from number ``since`` on, for ``permission`` if it is given."""
    return [a for a in world.notes.since(since) if permission is None or a.permission == permission]


def each_decided(world: World, since: int, verdict: Verdict, permission: str, enough: int = ENOUGH) -> bool:
    """Whether every service has come to this verdict so often since then."""
    asked = of(world, since, permission)
    return all(
        sum(attempt.service == service and attempt.verdict is verdict for attempt in asked) >= enough
        for service in world.services
    )


async def log_in(world: World) -> Outcome:
    """Everybody logs in over HTTP."""
    begun = time.monotonic()
    alice = await world.login("alice")
    took = (time.monotonic() - begun) * 1000
    for name in ("bob", "operator"):
        await world.login(name)
    return Outcome(
        facts=[f"alice has a token of {len(alice.holder.access_token)} bytes after {took:.0f} ms (argon2id)"],
        figures={"login_milliseconds": round(took, 1), "token_bytes": len(alice.holder.access_token)},
    )


async def orders_flow(world: World) -> Outcome:
    """Orders and reports flow, as events and as requests; all are accepted."""
    since = len(world.notes)
    async with world.traffic(world.alice.holder):
        await until(
            lambda: each_decided(world, since, Verdict.ACCEPTED, ORDERS), "orders to be accepted by every service"
        )
    count = all_accepted(of(world, since), "orders and reports of alice")
    orders = tally(of(world, since, ORDERS)).accepted
    return Outcome(
        facts=[f"{orders} orders and {count.accepted - orders} reports, all accepted by {_names(world)}"],
        figures={"accepted": count.accepted, "refused": count.refused},
    )


async def revoke_permission(world: World) -> Outcome:
    """An operator revokes one permission: the next order is refused by every service, reports live on."""
    since = len(world.notes)
    world.kept[OLD] = world.alice.holder.keep()
    async with world.traffic(world.alice.holder):
        await until(lambda: each_decided(world, since, Verdict.ACCEPTED, ORDERS, 10), "orders to flow")
        body = {"kind": "permission", "permission": ORDERS, "reason": "stock-taking"}
        done = await world.api.revoke(world.operator_token, body)
        await until(lambda: each_decided(world, since, Verdict.REFUSED, ORDERS), "every service to refuse orders")
        reports_since = len(world.notes)
        await until(
            lambda: each_decided(world, reports_since, Verdict.ACCEPTED, "reports:read", 10), "reports to go on"
        )
    cuts = world.cut_offs(of(world, since, ORDERS), done.committed_at)
    reports = all_accepted(of(world, since, "reports:read"), "reports after orders:create was revoked")
    return Outcome(
        facts=[f"{reports.accepted} reports with the same tokens went on, none refused"],
        figures={"reports_accepted": reports.accepted, "reports_refused": reports.refused, "seq": done.seq},
        cut_offs=cuts,
    )


async def grant_again(world: World) -> Outcome:
    """The permission is granted again: tokens minted from now on carry it, older ones stay refused."""
    async with open_accounts(load_settings(home=world.stack.home.path)) as accounts:
        await accounts.grant("alice", [ORDERS])
    await world.renew(world.alice)
    since = len(world.notes)
    old = world.kept[OLD]
    for door in world.doors:
        await door.order(world.alice.holder)
        await door.order(old)
    await world.drained()
    asked = of(world, since)
    fresh = [attempt for attempt in asked if attempt.token == world.alice.holder.number]
    all_accepted(fresh, "orders with a token minted after the grant")
    all_refused([attempt for attempt in asked if attempt not in fresh], "orders with a token minted before")
    return Outcome(facts=["a new token orders again; the old one, though not expired, does not"])


async def rotate_keys(world: World) -> Outcome:
    """The keys rotate under load. No good token is refused, whichever key signed it."""
    since = len(world.notes)
    alice = world.alice
    before = alice.holder.keep()
    keys = [alice.key_id]
    async with world.traffic(alice.holder):
        for _ in range(ROTATIONS):
            await world.api.rotate_keys(world.operator_token, lead=ROTATION_LEAD)
            await _until_new_key(world, alice)
            keys.append(alice.key_id)
            mark = len(world.notes)
            flowing = partial(each_decided, world, mark, Verdict.ACCEPTED, ORDERS, 10)
            await until(flowing, "orders under the new key to be accepted")
        for door in world.doors:
            await door.order(before)
    require(len(set(keys)) == ROTATIONS + 1, "each rotation must bring a key of its own")
    count = all_accepted(of(world, since), "orders and reports while keys rotated")
    tokens = alice.holder.number - before.number + 1
    return Outcome(
        facts=[
            f"{ROTATIONS} rotations, {tokens} tokens under {len(keys)} keys: {count.accepted} accepted, 0 refused",
            "the token of before the first rotation is still good",
        ],
        figures={"rotations": ROTATIONS, "tokens": tokens, "accepted": count.accepted, "refused": count.refused},
    )


async def _until_new_key(world: World, person: Person) -> None:
    """Renew somebody's token until another key signs it."""
    old, deadline = person.key_id, time.monotonic() + PATIENCE
    while person.key_id == old:
        require(time.monotonic() < deadline, f"the successor must sign within {PATIENCE:.0f} s")
        await asyncio.sleep(RENEWAL_PAUSE)
        await world.renew(person)


def _names(world: World) -> str:
    return " and ".join(world.services)
