"""F4 to F6 and F10: links that are cut, held, slow, or change what passes."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from ostraka_consumers import limits
from ostraka_issuer.api_client import IssuerRefused, IssuerUnreachable
from tests.faults.history import FRESH, stretches
from tests.faults.proxy import CUT, DEAF, FAIR, HALF_OPEN, MUTE, Weather
from tests.faults.rows.base import Result, Row, Scale, judge
from tests.faults.scene import Scene, open_scene
from tests.faults.stage import ISSUER, Stage
from tests.support.stack import PASSWORD

PARTITIONS = {"v1": CUT, "v2": HALF_OPEN, "v3": DEAF, "v4": MUTE}
WORDS = {CUT: "cut", HALF_OPEN: "half open", DEAF: "one way, up", MUTE: "one way, down"}
CONTROL = "v5"
ATTEMPTS_MAX = 3.0
"""Connections a second that a verifier may make: two attempts, and what a success takes besides."""
GIVES_UP_AFTER = max(limits.SOURCE_SILENCE_MAX, limits.SOURCE_OPEN_MAX) + limits.SOURCE_RETRY_MAX
"""Seconds after which a verifier whose client was led astray begins anew, at the latest."""


def first_stale(scene: Scene, name: str, since: float) -> float | None:
    """How many seconds after ``since`` a verifier first refused a good token for want of news."""
    return next(
        (
            stretch.moment.at - since
            for stretch in stretches(scene.players[name].seat.history)
            if stretch.moment.at >= since and stretch.moment.decisions.get("steady") == "stale"
        ),
        None,
    )


def fresh_after(scene: Scene, name: str, since: float) -> float | None:
    """How many seconds after ``since`` a verifier was at the issuer's head and fresh."""
    head = scene.head()
    return next(
        (
            moment.at - since
            for moment in scene.players[name].seat.history
            if moment.at >= since and moment.freshness == FRESH and moment.head == head
        ),
        None,
    )


def said(seconds: float | None) -> str:
    """For a figure."""
    return "never" if seconds is None else f"{seconds:.1f} s"


async def cut_off_verifiers(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Four verifiers are cut off from the broker, each in another way; a fifth is not."""
    async with open_scene(
        stage,
        directory,
        verifiers=[*PARTITIONS, CONTROL],
        max_staleness=scale.max_staleness,
        heartbeat=scale.heartbeat,
    ) as scene:
        await scene.present("steady", "meanwhile")
        with scene.fault(*PARTITIONS) as window:
            for name, weather in PARTITIONS.items():
                scene.link(name).set(weather)
            await scene.revoke("meanwhile")
            await scene.refused_everywhere("meanwhile", CONTROL)
            await asyncio.sleep(scale.max_staleness + scale.of(2, 15))
            healing = time.time()
            scene.calm()
            await scene.healed(within=60)
        await scene.refused_everywhere("meanwhile")
        after = {name: fresh_after(scene, name, healing) for name in PARTITIONS}
        bound = scale.heartbeat + 1
        slow = [f"{name} was well only after {said(s)}" for name, s in after.items() if s is None or s > bound]
        return judge(
            scene,
            *(
                f"{WORDS[weather]}: refused for want of news after {said(first_stale(scene, name, window.begin))}, "
                f"fresh again after {said(after[name])}"
                for name, weather in PARTITIONS.items()
            ),
            also=slow if scale.whole else [],
        )


async def cut_off_for_a_minute(stage: Stage, directory: Path, scale: Scale) -> Result:
    """A verifier with the bounds that are shipped is cut off."""
    async with open_scene(stage, directory, verifiers=["v1", "v2"], max_staleness=60.0, heartbeat=5) as scene:
        await scene.present("steady", "meanwhile")
        with scene.fault("v1") as window:
            scene.link("v1").set(HALF_OPEN)
            await scene.revoke("meanwhile")
            await scene.refused_everywhere("meanwhile", "v2")
            await asyncio.sleep(70)
            stale = first_stale(scene, "v1", window.begin)
            scene.calm()
            healed = await scene.healed("v1", within=60)
        await scene.refused_everywhere("meanwhile")
        return judge(
            scene, f"`max_staleness` 60 s: refused for want of news after {said(stale)}; well {healed:.1f} s later"
        )


async def cut_off_issuer(stage: Stage, directory: Path, scale: Scale) -> Result:
    """The issuer is cut off from the broker: logins and revocations go on, and what waits is published later."""
    figures: list[str] = []
    broken: list[str] = []
    async with open_scene(
        stage, directory, verifiers=["v1", "v2"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady")
        for weather in (CUT, HALF_OPEN, DEAF, MUTE) if scale.whole else (HALF_OPEN,):
            victims = [f"meanwhile, {WORDS[weather]}, {number}" for number in range(3)]
            await scene.present(*victims)
            with scene.fault() as window:
                scene.link(ISSUER).set(weather)
                broken += await _issuer_works(scene, victims)
                await asyncio.sleep(scale.max_staleness + scale.of(2, 10))
                stale = first_stale(scene, "v1", window.begin)
                scene.link(ISSUER).set(FAIR)
                healed = await scene.healed(within=60)
            for victim in victims:
                await scene.refused_everywhere(victim)
            figures.append(
                f"{WORDS[weather]}: refused for want of news after {said(stale)}, all well {healed:.1f} s later"
            )
        return judge(scene, *figures, also=broken)


async def _issuer_works(scene: Scene, victims: Sequence[str]) -> list[str]:
    """Log in and revoke; what did not work."""
    broken = [f"{victim} could not be revoked" for victim in victims if not await scene.revoke(victim)]
    try:
        await scene.client.login("alice", PASSWORD)
    except (IssuerRefused, IssuerUnreachable) as error:
        broken.append(f"no login without the broker: {error}")
    return broken


async def flapping(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Links that come and go every second."""
    seconds = scale.of(6, 120)
    flaps = {"v1": CUT, "v2": HALF_OPEN, ISSUER: CUT}
    async with open_scene(
        stage, directory, verifiers=["v1", "v2", "v3"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "meanwhile")
        begin = time.monotonic()
        with scene.fault():
            await scene.revoke("meanwhile")
            while time.monotonic() - begin < seconds:
                for name, weather in flaps.items():
                    scene.link(name).set(FAIR if scene.link(name).weather == weather else weather)
                await asyncio.sleep(1.0)
            rates = {name: scene.link(name).attempts_since(begin) / seconds for name in ("v1", "v2")}
            scene.calm()
            healed = await scene.healed(within=60)
        await scene.refused_everywhere("meanwhile")
        tried = ", ".join(f"{rate:.1f} ({WORDS[flaps[name]]})" for name, rate in rates.items())
        figures = f"{seconds:.0f} s of it: {tried} connections a second", f"all well {healed:.1f} s after it"
        often = [f"{name} made {rate:.1f} connections a second" for name, rate in rates.items() if rate > ATTEMPTS_MAX]
        return judge(scene, *figures, also=often)


async def slow_and_torn(stage: Stage, directory: Path, scale: Scale) -> Result:
    """One verifier's link has 1 KB/s, another's tears every connection within a record."""
    torn = Weather(truncate=1_500)
    async with open_scene(
        stage, directory, verifiers=["v1", "v2", "v3"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        victims = [f"meanwhile-{number}" for number in range(4)]
        await scene.present("steady", *victims)
        with scene.fault("v1", "v2"):
            scene.link("v1").set(Weather(rate=1_000))
            scene.link("v2").set(torn)
            begin = time.monotonic()
            for victim in victims:
                await scene.revoke(victim)
            await scene.refused_everywhere(victims[-1], "v3")
            slow = await scene.refused_everywhere(victims[-1], "v1", within=60)
            await asyncio.sleep(max(0.0, scale.of(4, 60) - slow))
            tears = scene.link("v2").attempts_since(begin)
            scene.calm()
            healed = await scene.healed(within=60)
        await scene.refused_everywhere(victims[-1])
        return judge(
            scene,
            f"1 KB/s: {len(victims)} revocations applied after {slow:.1f} s",
            f"connections torn after {torn.truncate} bytes, {tears} of them: fresh {healed:.1f} s after that ended",
        )


async def flipped_bytes(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Bytes of Kafka's own protocol are changed on the way to the verifiers."""
    links = {"v1": 4, "v2": 1} | ({"v4": 1, "v5": 2, "v6": 8} if scale.whole else {})
    async with open_scene(
        stage, directory, verifiers=[*links, "v3"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "meanwhile")
        before = {name: scene.link(name).flipped for name in links}
        with scene.fault(*links):
            for name, often in links.items():
                scene.link(name).set(Weather(flip=often))
            await scene.revoke("meanwhile")
            await scene.refused_everywhere("meanwhile", "v3")
            await asyncio.sleep(scale.of(4, 60))
            flipped = [scene.link(name).flipped - count for name, count in before.items()]
            scene.calm()
            healed = await scene.healed(within=60)
        await scene.refused_everywhere("meanwhile")
        bound = GIVES_UP_AFTER + scale.heartbeat + 1
        return judge(
            scene,
            f"{', '.join(map(str, flipped))} bytes changed on {len(links)} links: "
            f"all well {healed:.1f} s after that ended",
            also=[f"not well within {bound:.0f} s"] if scale.whole and healed > bound else [],
        )


ROWS = [
    Row("F4 verifiers", "verifiers cut off from the broker: reset, half open, one way each", cut_off_verifiers),
    Row(
        "F4 a minute",
        "a verifier with the bounds that are shipped is cut off from the broker (its bound: 70 s)",
        cut_off_for_a_minute,
        short=False,
    ),
    Row(
        "F4 issuer",
        "the issuer cut off from the broker in the same ways; logins and revocations meanwhile",
        cut_off_issuer,
    ),
    Row("F5", "links of issuer and verifiers come and go every second", flapping),
    Row("F6", "a link of 1 KB/s; a link that tears connections within a record", slow_and_torn),
    Row("F10 links", "wrong bytes in Kafka's protocol on the way to verifiers", flipped_bytes),
]
