"""The end of the story: alice is cut off."""

from functools import partial

from ostraka_issuer.api_client import IssuerRefused
from ostraka_issuer.desk.errors import StoryError

from .attempts import Verdict
from .report import Outcome
from .steps import ENOUGH, ORDERS, each_decided, of
from .world import World, all_accepted, until


async def cut_off_alice(world: World) -> Outcome:
    """An operator cuts alice off: access tokens, refresh token and session end together, everywhere."""
    since = len(world.notes)
    alice = world.alice
    async with world.traffic(alice.holder):
        await until(partial(each_decided, world, since, Verdict.ACCEPTED, ORDERS, 10), "orders to flow")
        body = {"kind": "subject", "username": "alice", "reason": "left the company"}
        done = await world.api.revoke(world.operator_token, body)
        await until(
            partial(each_decided, world, since, Verdict.REFUSED, ORDERS, ENOUGH), "every service to refuse alice"
        )
    cuts = world.cut_offs(of(world, since), done.committed_at)
    refreshed = await _can_refresh(world)
    if refreshed:
        raise StoryError("not so: alice's refresh token must be dead too")
    since = len(world.notes)
    await world.login("bob")
    for door in world.doors:
        await door.report(world.bob.holder)
    await world.drained()
    all_accepted(of(world, since), "reports of bob, who logged in again")
    return Outcome(
        facts=["her refresh token is dead with her session", "bob, whose session was ended, logged in again and works"],
        figures={"seq": done.seq, "sessions_ended": done.rest.get("sessions_ended")},
        cut_offs=cuts,
    )


async def _can_refresh(world: World) -> bool:
    try:
        await world.api.refresh(world.alice.refresh_token)
    except IssuerRefused:
        return False
    return True
