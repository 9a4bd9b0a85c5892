"""The broker goes away and comes back: decisions go on, and nothing that was revoked is forgotten."""

import asyncio
import os
import signal
import time
from collections.abc import Iterable
from typing import Final

from aiokafka.errors import KafkaError

from ostraka_issuer.api_client import Announced
from ostraka_issuer.desk.embedded import EmbeddedBroker
from ostraka_issuer.desk.errors import StoryError

from .attempts import Attempt, Verdict
from .measure import Tally, tally
from .report import Outcome
from .steps import OLD, ORDERS, of
from .traffic import Web
from .world import OTHER_PAUSE, World, all_accepted, all_refused, until

OUTAGE: Final = 1.5
"""Seconds without a broker, at least."""

DECISIONS: Final = 200
"""Decisions that must have been made meanwhile."""

COMES_BACK: Final = 40.0
"""Seconds for every client to find a broker that is back; a consumer group of the embedded one may take twenty."""

REOPEN_PAUSE: Final = 0.2


async def broker_dies(world: World, broker: EmbeddedBroker) -> Outcome:
    """The embedded broker is killed with SIGKILL and started again, empty."""
    pid = broker.pid
    await world.renew(world.bob)
    await world.events.close()
    await broker.kill()
    decided, done = await _decide_meanwhile(world)
    await broker.start()
    back_at = time.time()
    await world.stack.create_topics()
    await _reopen(world)
    late = await _all_hear_of_it(world, back_at)
    fresh = await _ask_a_new_process(world)
    facts = [
        f"kill -9 of broker {pid}: {decided.decided} decisions without it, all right",
        f"bob's session was ended meanwhile; refused {late:.0f} ms after the broker was back, empty",
        "the handler went on; every older revocation holds",
        f"{fresh} knows only the refilled topic, and decides the same",
    ]
    return Outcome(facts, _figures(decided, done, late))


async def broker_freezes(world: World, pid: int) -> Outcome:
    """A Kafka that is not ours is frozen with SIGSTOP for a while, and goes on."""
    await world.renew(world.bob)
    os.kill(pid, signal.SIGSTOP)
    try:
        decided, done = await _decide_meanwhile(world)
    finally:
        os.kill(pid, signal.SIGCONT)
    late = await _all_hear_of_it(world, time.time())
    fresh = await _ask_a_new_process(world)
    facts = [
        f"Kafka (pid {pid}) frozen: {decided.decided} decisions without it, all right",
        f"bob's session was ended meanwhile; refused {late:.0f} ms after Kafka went on",
        f"{fresh} has read the feed from its beginning, and decides the same",
    ]
    return Outcome(facts, _figures(decided, done, late))


async def no_outage(world: World) -> Outcome:
    """Without a broker to take away there is still the new process that must come to the same decisions."""
    await world.renew(world.bob)
    done = await _end_bobs_session(world)
    late = await _all_hear_of_it(world, done.committed_at)
    fresh = await _ask_a_new_process(world)
    facts = [
        f"bob's session was ended; refused after {late:.0f} ms",
        f"{fresh} has read the feed from its beginning, and decides the same",
    ]
    return Outcome(facts, {"seq": done.seq})


def _figures(decided: Tally, done: Announced, late: float) -> dict[str, object]:
    return {
        "decisions_without_broker": decided.decided,
        "refused_after_broker_back_milliseconds": round(late, 1),
        "seq": done.seq,
    }


async def _decide_meanwhile(world: World) -> tuple[Tally, Announced]:
    since, begun = len(world.notes), time.monotonic()
    async with world.traffic(world.alice.holder, world.kept[OLD], events=False):
        done = await _end_bobs_session(world)
        await until(
            lambda: time.monotonic() - begun >= OUTAGE and tally(world.notes.since(since)).decided >= DECISIONS,
            "decisions to go on without a broker",
        )
    asked = of(world, since)
    should_fail = [a for a in asked if a.token == world.kept[OLD].number and a.permission == ORDERS]
    all_refused(should_fail, "orders with a revoked permission, without a broker")
    all_accepted(_without(asked, should_fail), "orders and reports without a broker")
    return tally(asked), done


async def _end_bobs_session(world: World) -> Announced:
    body = {"kind": "session", "session_id": world.bob.session_id, "reason": "laptop lost"}
    return await world.api.revoke(world.operator_token, body)


async def _reopen(world: World) -> None:
    deadline = time.monotonic() + COMES_BACK
    while True:
        try:
            await world.events.open()
        except KafkaError as error:
            if time.monotonic() >= deadline:
                raise StoryError(f"no connection to the broker that is back: {error}") from error
            await asyncio.sleep(REOPEN_PAUSE)
        else:
            return


async def _all_hear_of_it(world: World, back_at: float) -> float:
    """Until every service refuses bob, and the old token; milliseconds until the web service did."""
    since = len(world.notes)
    bob = world.bob.holder
    deadline = time.monotonic() + COMES_BACK
    while not all(_refusals(world, since, service) for service in world.services):
        if time.monotonic() >= deadline:
            raise StoryError(f"waited {COMES_BACK:.0f} s in vain for every service to refuse bob")
        for door in world.doors:
            await door.report(bob)
        await asyncio.sleep(OTHER_PAUSE)
    await world.drained()
    cuts = world.cut_offs(of(world, since), back_at)
    since = len(world.notes)
    for door in world.doors:
        await door.order(world.alice.holder)
        await door.order(world.kept[OLD])
    await world.drained()
    asked = of(world, since)
    should_fail = [a for a in asked if a.token == world.kept[OLD].number]
    all_refused(should_fail, "orders with a permission revoked long before")
    all_accepted(_without(asked, should_fail), "orders of alice, after the broker came back")
    return next(cut.milliseconds for cut in cuts if cut.service == world.webs[0].name)


def _refusals(world: World, since: int, service: str) -> bool:
    return any(a.service == service and a.verdict is Verdict.REFUSED for a in world.notes.since(since))


async def _ask_a_new_process(world: World) -> str:
    """A process that was not there when anything was revoked, and has only the topic to learn from."""
    url = await world.stack.start_another_api()
    web = Web("new api process", url, world.notes)
    world.webs.append(web)
    since = len(world.notes)
    await web.order(world.alice.holder)
    all_accepted(of(world, since), "an order of alice at a new process")
    since = len(world.notes)
    await web.order(world.kept[OLD])
    await web.report(world.bob.holder)
    all_refused(of(world, since), "revoked tokens at a new process")
    return f"a new process ({url})"


def _without(attempts: Iterable[Attempt], others: list[Attempt]) -> list[Attempt]:
    left_out = {id(attempt) for attempt in others}
    return [attempt for attempt in attempts if id(attempt) not in left_out]
