"""F7: clocks that are wrong, or are set while they run; of verifiers and of the issuer."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from tests.faults.deciding import ACCEPTED
from tests.faults.history import WRONG_TIME, History, stretches, worst_accept
from tests.faults.proxy import HALF_OPEN
from tests.faults.rows.base import Result, Row, Scale, judge
from tests.faults.scene import Scene, open_scene
from tests.faults.stage import VERIFIERS, Stage

OFFSETS = (-3_600.0, -60.0, -5.0, 5.0, 60.0, 3_600.0)
HEAL_SECONDS = 20.0
BEYOND_TOLERANCE = 10.0
"""Clocks that are further apart than this can tell, and have to refuse."""
DRIFT = 0.01
DRIFT_STEP = 0.02
"""The issuer's clock is set so often; it is then wrong by a fifth of a millisecond more."""


def accepted_at_all(history: History) -> bool:
    """Whether a good token was ever accepted."""
    return any(stretch.moment.decisions.get("steady") == ACCEPTED for stretch in stretches(history))


async def wrong_from_the_start(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Verifiers that start with a wrong clock: a little does not matter, much and they never accept anything."""
    names = dict(zip(VERIFIERS, OFFSETS, strict=True))
    async with open_scene(stage, directory, verifiers=[], max_staleness=15.0, heartbeat=scale.heartbeat) as scene:
        near = [name for name, offset in names.items() if abs(offset) <= BEYOND_TOLERANCE]
        with scene.fault(*(set(names) - set(near))):
            for name, offset in names.items():
                await scene.add_verifier(name, offset=offset)
            await scene.present("steady", "victim", accepted_by=near)
            await scene.revoke("victim")
            await scene.refused_everywhere("victim", *near)
            await asyncio.sleep(scale.of(2, 30))
        far = [name for name in names if name not in near]
        wrong = [
            f"a verifier whose clock was off by {names[name]:+.0f} s accepted a token"
            for name in far
            if accepted_at_all(scene.players[name].seat.history)
        ]
        return judge(
            scene,
            f"off by {_signed(names[name] for name in near)} s: as if it were right",
            f"off by {_signed(names[name] for name in far)} s: never ready, nothing accepted",
            also=wrong,
            may_alarm=["clock"],
        )


async def set_while_cut_off(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Clocks of verifiers are set at the very moment when they are cut off: none believes for longer than it may."""
    names = dict(zip(VERIFIERS, OFFSETS, strict=True))
    async with open_scene(
        stage, directory, verifiers=list(names), max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "victim")
        with scene.fault(reasons=WRONG_TIME):
            for name, offset in names.items():
                scene.link(name).set(HALF_OPEN)
                scene.players[name].clock.set(offset)
            await scene.revoke("victim")
            await asyncio.sleep(scale.max_staleness + 2)
            figures = [f"{names[name]:+.0f} s: accepted for {worst:.1f} s" for name, worst in _each_worst(scene)]
            scene.calm()
            for name in names:
                scene.players[name].clock.set(0.0)
            await scene.healed()
        await scene.refused_everywhere("victim")
        return judge(scene, "a token revoked meanwhile: " + ", ".join(figures), may_alarm=["clock"])


def _each_worst(scene: Scene) -> list[tuple[str, float]]:
    story = scene.story()
    return [
        (name, worst_accept(replace(story, histories={name: history}))) for name, history in story.histories.items()
    ]


async def issuer_set(stage: Stage, directory: Path, scale: Scale) -> Result:
    """The issuer's clock is set, tokens are revoked, and one verifier is cut off meanwhile."""
    figures: list[str] = []
    broken: list[str] = []
    async with open_scene(
        stage, directory, verifiers=["v1", "v2"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "first")
        # The operator logs in while the clock is right: a key signs no tokens from before its time.
        await scene.revoke("first")
        for offset in OFFSETS if scale.whole else (60.0,):
            victim = f"revoked at {offset:+.0f} s"
            await scene.present(victim)
            with scene.fault(reasons=WRONG_TIME):
                acknowledged = await _set_and_cut_off(scene, offset, victim)
                try:
                    healed = await scene.healed(within=HEAL_SECONDS)
                except AssertionError:
                    broken.append(f"{offset:+.0f} s: not fresh {HEAL_SECONDS:.0f} s after the clock was right again")
                    await _replace_verifiers(scene, offset)
                    healed = await scene.healed()
            broken += await _still_accepted(scene, victim) if acknowledged else []
            verb = "revoked" if acknowledged else "not revoked"
            figures.append(f"{offset:+.0f} s: {verb}, well {healed:.1f} s after the clock was right again")
        worst = worst_accept(scene.story())
        return judge(scene, *figures, f"accepted afterwards for {worst:.1f} s", also=broken, may_alarm=["clock"])


async def drifting(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Clocks that run 1 % too fast or too slow; some have done so until they are off by as much as is borne."""
    seconds = scale.of(6, 100)
    # Halfway through they are off by more than that.
    nearly = BEYOND_TOLERANCE - DRIFT * seconds / 2
    good, far = {"v1": DRIFT, "v2": -DRIFT}, {"v3": (DRIFT, nearly), "v4": (-DRIFT, -nearly)}
    async with open_scene(
        stage, directory, verifiers=["v5"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        with scene.fault(*far, reasons=WRONG_TIME):
            for name, rate in good.items():
                await scene.add_verifier(name, drift=rate)
            for name, (rate, offset) in far.items():
                await scene.add_verifier(name, drift=rate, offset=offset)
            await scene.present("steady", "at once", "cut off", accepted_by=["v5", *good])
            await scene.healed("v5", *good)
            issuer = asyncio.create_task(_drift(scene, DRIFT))
            try:
                await scene.revoke("at once")
                await scene.refused_everywhere("at once", "v5", *good)
                await asyncio.sleep(seconds)
                with scene.fault(reasons=WRONG_TIME):
                    for name in (*good, *far):
                        scene.link(name).set(HALF_OPEN)
                    await scene.revoke("cut off")
                    await asyncio.sleep(scale.max_staleness * (1 + DRIFT) + 2)
                    figures = [f"{name}: {worst:.1f} s" for name, worst in _accepted_when(scene, good, far)]
                    scene.calm()
                    await scene.healed("v5", *good)
            finally:
                issuer.cancel()
                await asyncio.gather(issuer, return_exceptions=True)
        await scene.refused_everywhere("cut off", "v5", *good)
        # The other one runs as fast as the issuer's, so it comes no further away from it.
        silent = "clock" not in scene.players["v4"].last.alarms
        return judge(
            scene,
            f"{seconds:.0f} s, the issuer's clock fast too: nothing was refused but by those far off",
            f"cut off then, and a token revoked: accepted for, {', '.join(figures)}",
            also=["v4 did not say that its clock is wrong"] if silent and scale.whole else [],
            may_alarm=["clock"],
        )


async def _drift(scene: Scene, rate: float) -> None:
    """Let the issuer's clock run wrong until cancelled."""
    begin = time.monotonic()
    while True:
        scene.clock.set(rate * (time.monotonic() - begin))
        await asyncio.sleep(DRIFT_STEP)


def _accepted_when(
    scene: Scene, good: Mapping[str, float], far: Mapping[str, tuple[float, float]]
) -> list[tuple[str, float]]:
    words = {name: f"{rate:+.0%}" for name, rate in good.items()}
    words |= {name: f"{rate:+.0%} from {offset:+.1f} s" for name, (rate, offset) in far.items()}
    return [(word, scene.accepted_for("cut off", name)) for name, word in words.items()]


async def _still_accepted(scene: Scene, victim: str) -> list[str]:
    """What is broken if a token that was revoked is still accepted by somebody who knows everything."""
    try:
        await scene.refused_everywhere(victim, within=HEAL_SECONDS)
    except AssertionError:
        return [f"{victim}, acknowledged, and still accepted"]
    return []


async def _set_and_cut_off(scene: Scene, offset: float, victim: str) -> bool:
    """Whether the revocation was acknowledged."""
    scene.clock.set(offset)
    # Long enough for a heartbeat that lends what it does not have.
    await asyncio.sleep(2 * scene.heartbeat)
    scene.link("v1").set(HALF_OPEN)
    acknowledged = await scene.revoke(victim)
    await asyncio.sleep(scene.max_staleness + 1)
    scene.calm()
    scene.clock.set(0.0)
    return acknowledged


async def _replace_verifiers(scene: Scene, offset: float) -> None:
    """End those that there are, and start new ones in their place."""
    for name, player in list(scene.players.items()):
        if not player.left:
            await scene.end_verifier(name)
            await scene.add_verifier(f"{name} after {offset:+.0f} s", link=player.link)


def _signed(offsets: Iterable[float]) -> str:
    return ", ".join(f"{offset:+.0f}" for offset in offsets)


ROWS = [
    Row("F7 start", "verifiers start with clocks that are off by up to an hour", wrong_from_the_start),
    Row("F7 verifiers", "verifiers' clocks are set, by up to an hour, while they are cut off", set_while_cut_off),
    Row("F7 issuer", "the issuer's clock is set, by up to an hour, while a verifier is cut off", issuer_set),
    Row("F7 drift", "clocks that run 1 % too fast or too slow, of verifiers and of the issuer", drifting),
]
