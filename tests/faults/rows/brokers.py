"""F1: the broker is killed and comes back."""

import asyncio
from pathlib import Path

from tests.faults.history import stretches
from tests.faults.rows.base import Result, Row, Scale, judge, ms
from tests.faults.scene import BOTH, HTTP, KAFKA, Scene, open_scene
from tests.faults.stage import Stage

ON_KAFKA = ("v1", "v2")


async def killed_broker(stage: Stage, directory: Path, scale: Scale) -> Result:
    """kill -9, revocations meanwhile, restart: everyone refuses in time, and everyone is well again."""
    figures: list[str] = []
    channels = {**dict.fromkeys(ON_KAFKA, (KAFKA,)), "v3": BOTH, "v4": (HTTP,)}
    async with open_scene(
        stage, directory, verifiers=channels, max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "before", "meanwhile", "after")
        await scene.revoke("before")
        await scene.refused_everywhere("before")
        figures.append(f"before it, a revocation took {ms(scene.accepted_for('before'))}")
        for number, seconds in enumerate([scale.max_staleness + 1] if not scale.whole else [5.0, 30.0, 120.0]):
            token = "meanwhile" if number == 0 else f"meanwhile-{number}"
            if number:
                await scene.present(token)
            figures.append(await _outage(scene, token, seconds))
        await scene.revoke("after")
        await scene.refused_everywhere("after")
        return judge(scene, *figures)


async def _outage(scene: Scene, token: str, seconds: float) -> str:
    broker = scene.stage.broker
    with scene.fault(*ON_KAFKA) as window:
        await broker.kill()
        assert await scene.revoke(token), "a revocation needs no broker"
        await scene.refused_everywhere(token, "v3", "v4")
        through_http = scene.accepted_for(token, "v3", "v4")
        await asyncio.sleep(max(0.0, seconds))
        denied = _first_stale(scene, window.begin)
        await broker.restart()
        healed = await scene.healed()
    await scene.refused_everywhere(token)
    stale = "nobody without news too long" if denied is None else f"refused for want of news from {denied:.1f} s on"
    return (
        f"away {seconds:.0f} s: over HTTP a revocation took {ms(through_http)}; on Kafka alone {stale}; "
        f"fresh again {healed:.1f} s after the broker answered"
    )


def _first_stale(scene: Scene, since: float) -> float | None:
    """How long after ``since`` the first verifier on Kafka alone refused a good token."""
    found = [
        stretch.moment.at - since
        for player in (scene.players[name] for name in ON_KAFKA)
        for stretch in stretches(player.seat.history)
        if stretch.moment.at >= since and stretch.moment.decisions.get("steady") == "stale"
    ]
    return min(found, default=None)


ROWS = [Row("F1", "broker: kill -9 and restart; a revocation meanwhile", killed_broker)]
