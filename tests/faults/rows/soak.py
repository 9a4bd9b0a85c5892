"""F32: many faults at random, one after the other and several at once, for a while, under steady revocation."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from ostraka_consumers.sources._aiokafka import safe_stop
from ostraka_issuer.api_client import IssuerRefused, IssuerUnreachable
from tests.faults.history import WRONG_TIME, memory_growth
from tests.faults.proxy import CUT, DEAF, FAIR, HALF_OPEN, MUTE, Link, Weather
from tests.faults.rows.base import Result, Row, Scale, judge
from tests.faults.rows.databases import read_topic
from tests.faults.rows.records import MEMORY_MAX, damaged, stored
from tests.faults.scene import BOTH, HTTP, KAFKA, Scene, open_scene
from tests.faults.stage import ISSUER, Stage
from tests.kafka.topics import delete_topics

SECONDS = float(os.environ.get("OSTRAKA_TEST_SOAK_SECONDS", "300"))
SEED = int(os.environ.get("OSTRAKA_TEST_SOAK_SEED", "32"))
CHANNELS = {"v1": (KAFKA,), "v2": BOTH, "v3": (HTTP,), "v4": (KAFKA,)}
WEATHERS = (CUT, HALF_OPEN, DEAF, MUTE, Weather(flip=4), Weather(rate=2_000), Weather(truncate=1_500))
STEP = 4.0
"""Seconds by which a clock is set; two of them are within what clocks may differ by."""
REVOKE_EVERY = 0.5
AT_ONCE_MAX = 3
SEND_SECONDS = 5.0

Fault = Callable[["Nemesis"], AbstractAsyncContextManager[None]]


class Nemesis:
    """Lets things go wrong, and puts them right again.

    Args:
        chance: decides everything, but for how long anything takes.
    """

    def __init__(self, scene: Scene, chance: random.Random) -> None:
        self.scene = scene
        self.chance = chance
        self.done: dict[str, int] = {}

    async def rage(self, until: float, longest: float) -> None:
        """One to three different faults at a time, each for at most so many seconds, and a moment's peace between."""
        while time.monotonic() < until:
            async with AsyncExitStack() as stack:
                for name in self.chance.sample(sorted(FAULTS), self.chance.randint(1, AT_ONCE_MAX)):
                    await stack.enter_async_context(FAULTS[name](self))
                    self.done[name] = self.done.get(name, 0) + 1
                await asyncio.sleep(self.chance.uniform(0.5, longest))
            await asyncio.sleep(self.chance.uniform(0, longest / 2))

    @asynccontextmanager
    async def bad_link(self) -> AsyncIterator[None]:
        """Between somebody and the broker."""
        async with _bad(self, [self.scene.link(name) for name in (ISSUER, *CHANNELS)]):
            yield

    @asynccontextmanager
    async def bad_web(self) -> AsyncIterator[None]:
        """Between verifiers and the issuer."""
        async with _bad(self, [await self.scene.web(name) for name, ways in CHANNELS.items() if HTTP in ways]):
            yield

    @asynccontextmanager
    async def no_broker(self) -> AsyncIterator[None]:
        """kill -9 of the broker, and a restart."""
        await self.scene.stage.broker.kill()
        try:
            yield
        finally:
            await self.scene.stage.broker.restart()

    @asynccontextmanager
    async def no_issuer(self) -> AsyncIterator[None]:
        """kill -9 of the issuer, and a restart."""
        await self.scene.end_issuer(signal.SIGKILL)
        try:
            yield
        finally:
            await self.scene.start_issuer(ready=False)

    @asynccontextmanager
    async def standstill(self) -> AsyncIterator[None]:
        """A verifier is stopped, and goes on."""
        pid = self.scene.players[self.chance.choice(sorted(CHANNELS))].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @asynccontextmanager
    async def wrong_clock(self) -> AsyncIterator[None]:
        """A clock is set, and set right again: of a verifier or of the issuer."""
        clock = self.chance.choice([self.scene.clock, *(player.clock for player in self.scene.players.values())])
        clock.set(self.chance.choice((-STEP, STEP)))
        try:
            yield
        finally:
            clock.set(0.0)

    @asynccontextmanager
    async def rubbish(self) -> AsyncIterator[None]:
        """Damaged records in the topic."""
        bad = self.chance.sample(damaged(stored(self.scene)[-1], self.chance), 50)
        await self._send(bad)
        yield

    @asynccontextmanager
    async def replay(self) -> AsyncIterator[None]:
        """Everything that was ever in the feed, again and in any order."""
        old = stored(self.scene)[-200:]
        self.chance.shuffle(old)
        await self._send(old)
        yield

    @asynccontextmanager
    async def no_topic(self) -> AsyncIterator[None]:
        """The feed's topic is deleted."""
        with contextlib.suppress(KafkaError):
            await delete_topics(self.scene.stage.broker.bootstrap, [self.scene.home.topic])
        yield

    async def _send(self, values: list[bytes]) -> None:
        """As far as another fault lets them through."""
        producer = AIOKafkaProducer(bootstrap_servers=self.scene.stage.broker.bootstrap)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await producer.start()
                for value in values:
                    await producer.send(self.scene.home.topic, value, partition=0)
                await producer.flush()
        except (KafkaError, TimeoutError):
            return  # There is another fault at work.
        finally:
            await safe_stop(producer, SEND_SECONDS)


FAULTS: dict[str, Fault] = {
    "bad links to the broker": Nemesis.bad_link,
    "bad links to the issuer": Nemesis.bad_web,
    "broker killed": Nemesis.no_broker,
    "issuer killed": Nemesis.no_issuer,
    "verifier stopped": Nemesis.standstill,
    "clock set": Nemesis.wrong_clock,
    "damaged records": Nemesis.rubbish,
    "records replayed": Nemesis.replay,
    "topic deleted": Nemesis.no_topic,
}


@asynccontextmanager
async def _bad(nemesis: Nemesis, links: list[Link]) -> AsyncIterator[None]:
    chosen = nemesis.chance.sample(links, nemesis.chance.randint(1, len(links)))
    for link in chosen:
        link.set(nemesis.chance.choice(WEATHERS))
    try:
        yield
    finally:
        for link in chosen:
            link.set(FAIR)


async def soak(stage: Stage, directory: Path, scale: Scale) -> Result:
    """The faults, revocations all the while, and at last everything that must hold in every history."""
    seconds = scale.of(20, SECONDS)
    async with open_scene(
        stage, directory, verifiers=CHANNELS, max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady")
        nemesis, begin = Nemesis(scene, random.Random(SEED)), time.time()
        with scene.fault(reasons=WRONG_TIME):
            revoking = asyncio.create_task(_revoke(scene))
            try:
                await nemesis.rage(time.monotonic() + seconds, scale.max_staleness * 1.5)
            finally:
                revoking.cancel()
                await asyncio.gather(revoking, return_exceptions=True)
            healed = await scene.healed(within=120)
        for revocation in scene.revocations:
            await scene.refused_everywhere(revocation.token)
        await scene.present("at last")
        growth = max(memory_growth(player.seat.history, begin) for player in scene.players.values())
        never_sent = len(set(stored(scene)) - set(await read_topic(scene)))
        return judge(
            scene,
            f"{seconds:.0f} s, seed {SEED}: {', '.join(f'{name} {count}' for name, count in nemesis.done.items())}",
            f"{len(scene.revocations)} revocations acknowledged of {len(scene.attempted)}; all well {healed:.1f} s "
            f"later; {growth / 1024 / 1024:.0f} MB more memory",
            also=[
                *([f"{never_sent} records of the database are not in the topic"] if never_sent else []),
                *([f"memory grew by {growth:,} bytes"] if growth > MEMORY_MAX else []),
            ],
            may_alarm=["clock"],
        )


async def _revoke(scene: Scene) -> None:
    """Log in and revoke, again and again, whatever becomes of it, until cancelled."""
    number = 0
    while True:
        number += 1
        name = f"victim {number}"
        try:
            await scene.present(name, accepted_by=())
        except (IssuerUnreachable, IssuerRefused):
            pass
        else:
            await asyncio.sleep(REVOKE_EVERY)
            await scene.revoke(name)
        await asyncio.sleep(REVOKE_EVERY)


ROWS = [Row("F32", "faults of nine kinds at random, up to three at once, under steady revocation", soak, short=False)]
