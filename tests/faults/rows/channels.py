"""F4 and B4 to B6 with both channels: either may die, either may lie."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from ostraka_schemas import base64url
from ostraka_schemas.errors import MalformedError
from ostraka_schemas.records import Heartbeat, Record, read_payload
from tests.faults.proxy import CUT, DEAF, HALF_OPEN, MUTE, Weather
from tests.faults.rows.base import Result, Row, Scale, judge, ms
from tests.faults.rows.links import WORDS, first_stale, said
from tests.faults.scene import BOTH, HTTP, KAFKA, Scene, open_scene
from tests.faults.stage import Stage
from tests.kafka.topics import create_topic

HTTP_WEATHER = {"v1": CUT, "v2": HALF_OPEN, "v3": DEAF, "v4": MUTE}


async def http_cut_off(stage: Stage, directory: Path, scale: Scale) -> Result:
    """HTTP is cut in every way; whoever has Kafka too does not notice. Then bytes are changed on it."""
    channels = {"v1": BOTH, "v2": BOTH, "v3": (HTTP,), "v4": (HTTP,), "v5": BOTH}
    async with open_scene(
        stage, directory, verifiers=channels, max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "meanwhile")
        with scene.fault("v3", "v4") as window:
            for name, weather in HTTP_WEATHER.items():
                (await scene.web(name)).set(weather)
            (await scene.web("v5")).set(Weather(flip=1))
            await scene.revoke("meanwhile")
            await scene.refused_everywhere("meanwhile", "v1", "v2", "v5")
            took = scene.accepted_for("meanwhile", "v1", "v2", "v5")
            await asyncio.sleep(scale.max_staleness + scale.of(1, 20))
            stale = {name: first_stale(scene, name, window.begin) for name in ("v3", "v4")}
            scene.calm()
            healed = await scene.healed(within=90)
        await scene.refused_everywhere("meanwhile")
        return judge(
            scene,
            f"Kafka beside it; HTTP cut, half open, changed bytes: a revocation took {ms(took)}",
            *(
                f"HTTP alone, {WORDS[HTTP_WEATHER[name]]}: refused for want of news after: {said(after)}"
                for name, after in stale.items()
            ),
            f"all well {healed:.1f} s later",
        )


class Liar:
    """Copies the feed's topic into another, and leaves out what it wants nobody to see."""

    def __init__(self, scene: Scene, topic: str, passes: Callable[[Heartbeat | Record], bool]) -> None:
        self._scene, self._topic, self._passes = scene, topic, passes
        self.withheld = 0

    async def run(self) -> None:
        """Copy until cancelled."""
        bootstrap = self._scene.stage.broker.bootstrap
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        await consumer.start()
        await producer.start()
        try:
            consumer.assign([TopicPartition(self._scene.home.topic, 0)])
            async for found in consumer:
                if found.value is not None and self._lets_through(found.value):
                    await producer.send_and_wait(self._topic, found.value, partition=0)
        finally:
            await producer.stop()
            await consumer.stop()

    def _lets_through(self, raw: bytes) -> bool:
        try:
            content = read_payload(base64url.decode(raw.split(b".")[1]))
        except (MalformedError, IndexError):
            return True
        passes = self._passes(content)
        self.withheld += not passes
        return passes


async def liars(stage: Stage, directory: Path, scale: Scale) -> Result:
    """A bus that withholds revocations, and one that withholds everything new: with HTTP nobody is deceived."""
    topics = {what: f"{what}-{directory.name[-20:]}-{time.time_ns()}" for what in ("revocations", "news")}
    async with open_scene(
        stage, directory, verifiers=["v1"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        first = scene.head()[1]
        frozen_at = time.time() + 2 * scale.heartbeat
        liars = [
            Liar(scene, topics["revocations"], lambda c: isinstance(c, Heartbeat) or c.position.seq <= first),
            Liar(scene, topics["news"], lambda c: c.iat <= frozen_at),
        ]
        for topic in topics.values():
            await create_topic(stage.broker.bootstrap, topic)
        tasks = [asyncio.create_task(liar.run()) for liar in liars]
        try:
            return await _believed(scene, scale, topics, liars)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _believed(scene: Scene, scale: Scale, topics: dict[str, str], liars: list[Liar]) -> Result:
    deceived, safe = ("v2", "v3"), ("v4", "v5")
    for names, channels in ((deceived, (KAFKA,)), (safe, BOTH)):
        for name, topic in zip(names, topics.values(), strict=True):
            await scene.add_verifier(name, channels, topic=topic)
    await scene.present("steady", "meanwhile")
    with scene.fault(*deceived) as window:
        await scene.revoke("meanwhile")
        await scene.refused_everywhere("meanwhile", "v1", *safe)
        took = scene.accepted_for("meanwhile", *safe)
        await asyncio.sleep(scale.max_staleness + scale.of(3, 15))
        stale = {name: first_stale(scene, name, window.begin) for name in deceived}
        seen = {alarm for name in safe for alarm in scene.players[name].last.alarms}
        await scene.healed("v1", *safe)
        for name in deceived:
            await scene.end_verifier(name)
    assert all(liar.withheld for liar in liars)
    return judge(
        scene,
        f"withheld revocations, with HTTP beside: it took {ms(took)}, and nothing was refused",
        f"without: refused for want of news after {said(stale['v2'])}",
        f"withheld everything new, without HTTP: refused for want of news after {said(stale['v3'])}",
        f"alarms of those who have both: {', '.join(sorted(seen)) or 'none'}",
        may_alarm=["withheld"],
    )


async def cold_starts(stage: Stage, directory: Path, scale: Scale) -> Result:
    """F24: verifiers start while Kafka, HTTP or both are away, or both bring only what is old."""
    async with open_scene(
        stage, directory, verifiers=["v1"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "before")
        await scene.revoke("before")
        figures = []
        scene.link("v2").set(HALF_OPEN)
        (await scene.web("v3")).set(CUT)
        scene.link("v4").set(CUT)
        (await scene.web("v4")).set(HALF_OPEN)
        for name, words in (("v2", "Kafka away"), ("v3", "HTTP away")):
            begin = time.monotonic()
            await scene.add_verifier(name, BOTH)
            await scene.healed(name)
            figures.append(f"{words}: ready after {time.monotonic() - begin:.1f} s")
        await scene.add_verifier("v4", BOTH)
        await scene.refused_everywhere("before", "v2", "v3")
        await asyncio.sleep(scale.of(2, 30))
        waiting = scene.players["v4"]
        wrong = [] if not waiting.last.ready else ["ready without any news"]
        scene.calm()
        healed = await scene.healed(within=90)
        await scene.refused_everywhere("before")
        return judge(scene, *figures, f"both away: never ready; {healed:.1f} s after both came back", also=wrong)


ROWS = [
    Row("F4 HTTP", "verifiers cut off from the issuer's HTTP, with Kafka beside it and without", http_cut_off),
    Row("F4 liars", "a bus that withholds revocations, or everything new, with HTTP beside it and without", liars),
    Row("F24", "verifiers start while Kafka, HTTP or both are away", cold_starts),
]
