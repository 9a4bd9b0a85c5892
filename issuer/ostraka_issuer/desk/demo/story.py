"""The plot: which steps there are, in which order, and what a failure means."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from ostraka_issuer.api_client import ApiClient
from ostraka_issuer.desk.stack import Stack, StackOptions
from ostraka_schemas.errors import OstrakaError

from . import steps
from .attempts import Notes
from .ending import cut_off_alice
from .measure import tally
from .outage import broker_dies, broker_freezes, no_outage
from .report import Ending, Outcome, Report, StepReport
from .traffic import Events, Web
from .world import World

API_NAME: Final = "orders api"


@dataclass(frozen=True, slots=True)
class Step:
    """One step; ``why`` says why it is not played, if it is not."""

    name: str
    title: str
    play: Callable[[], Awaitable[Outcome]] | None
    why: str | None = None


Tell = Callable[[StepReport], None]


async def play(options: StackOptions, *, kafka_pid: int | None, progress: Callable[[str], None], tell: Tell) -> Report:
    """Play the story on a fresh stack.

    Args:
        kafka_pid: process of the Kafka in ``options``, to be frozen for a while; without it that step is skipped.
        progress: told what is going on.
        tell: told of each step when it has ended.

    Returns:
        What came out. A step that fails is the last one.

    Raises:
        OstrakaError: the stack does not start.
    """
    begun = time.monotonic()
    async with Stack(options, progress) as stack, ApiClient(stack.issuer_url) as api:
        notes = Notes()
        world = World(stack, notes, Events(stack.orders, notes), [Web(API_NAME, stack.api_url, notes)], api)
        done = [_started(stack, time.monotonic() - begun)]
        tell(done[0])
        try:
            await world.events.open()
            for step in _plot(world, kafka_pid):
                progress(step.title)
                done.append(await _played(step, begun))
                tell(done[-1])
                if done[-1].ending is Ending.FAILED:
                    break
        finally:
            await world.events.close()
            for web in world.webs:
                await web.close()
    return Report(_broker(stack), done, time.monotonic() - begun, tally(notes).decided)


def _broker(stack: Stack) -> str:
    return f"the Kafka at {stack.options.kafka}" if stack.broker is None else "the embedded broker"


def _started(stack: Stack, took: float) -> StepReport:
    processes = ", ".join(service.name for service in stack.services)
    facts = [f"{processes}: a process each, on {_broker(stack)}"]
    return StepReport("start", "A fresh system starts", Ending.PASSED, 0.0, took, Outcome(facts))


def _plot(world: World, kafka_pid: int | None) -> list[Step]:
    return [
        Step("login", "Alice logs in", partial(steps.log_in, world)),
        Step("orders", "Her orders flow", partial(steps.orders_flow, world)),
        Step("permission", "The permission orders:create is revoked", partial(steps.revoke_permission, world)),
        Step("grant", "It is granted anew", partial(steps.grant_again, world)),
        Step("keys", "The keys rotate under load", partial(steps.rotate_keys, world)),
        *_outage(world, kafka_pid),
        Step("subject", "Alice is cut off", partial(cut_off_alice, world)),
    ]


def _outage(world: World, kafka_pid: int | None) -> list[Step]:
    if world.stack.broker is not None:
        kill = partial(broker_dies, world, world.stack.broker)
        return [Step("outage", "The broker is killed and comes back empty", kill)]
    if kafka_pid is not None:
        return [Step("outage", "Kafka is frozen for a while", partial(broker_freezes, world, kafka_pid))]
    return [
        Step(
            "outage", "The broker goes away", None, "this Kafka is not ours to stop; --kafka-pid would let us freeze it"
        ),
        Step("session", "A session is ended", partial(no_outage, world)),
    ]


async def _played(step: Step, begun: float) -> StepReport:
    at = time.monotonic()
    if step.play is None:
        return StepReport(step.name, step.title, Ending.SKIPPED, at - begun, 0.0, why=step.why)
    try:
        outcome = await step.play()
    except (OstrakaError, OverflowError) as error:
        took = time.monotonic() - at
        return StepReport(step.name, step.title, Ending.FAILED, at - begun, took, why=str(error))
    return StepReport(step.name, step.title, Ending.PASSED, at - begun, time.monotonic() - at, outcome)
