"""F10 and F27: bad records in the topic, one of each kind or very many."""

import asyncio
import base64
import json
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from aiokafka import AIOKafkaProducer

from ostraka_schemas import base64url
from ostraka_schemas.jwk import SigningKey
from tests.faults.history import Moment, memory_growth
from tests.faults.rows.base import Result, Row, Scale, judge
from tests.faults.scene import Scene, open_scene
from tests.faults.stage import Stage
from tests.faults.waiting import until

COUNTED_WITHIN = 1.0
"""Seconds in which a bad record must show in the counters."""
MEMORY_MAX = 50 * 1024 * 1024
FLOOD_RATE = 1_000
LATENCY_MAX = 1.0
"""Under that flood a revocation must come through within so many seconds."""


def stored(scene: Scene) -> list[bytes]:
    """The feed as it stands in the database."""
    with closing(sqlite3.connect(f"file:{scene.home.path / 'ostraka.db'}?mode=ro", uri=True)) as database:
        return [raw for (raw,) in database.execute("SELECT raw FROM feed_records ORDER BY epoch, seq")]


def damaged(raw: bytes, chance: random.Random) -> list[bytes]:
    """Each byte wrong once, and cut off at each length."""
    flipped = [raw[:at] + bytes([byte ^ 1 << chance.randrange(8)]) + raw[at + 1 :] for at, byte in enumerate(raw)]
    return [*flipped, *(raw[:length] for length in range(len(raw)))]


async def damaged_records(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Every byte of a record flipped, every length cut: all refused, all counted, nothing changed."""
    chance = random.Random(10)
    async with open_scene(
        stage, directory, verifiers=["v1", "v2"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady", "before", "after")
        await scene.revoke("before")
        await scene.refused_everywhere("before")
        records = stored(scene)
        bad = [raw for record in (records if scale.whole else records[-1:]) for raw in damaged(record, chance)]
        before = {name: player.last.refused for name, player in scene.players.items()}
        async with AIOKafkaProducer(bootstrap_servers=stage.broker.bootstrap) as producer:
            for raw in bad:
                await producer.send(scene.home.topic, raw, partition=0)
            await producer.flush()
        counted = await until(
            lambda: all(p.last.refused >= before[name] + len(bad) for name, p in scene.players.items()),
            lambda: f"{len(bad)} bad records counted: {[p.last.counters for p in scene.players.values()]}",
        )
        await scene.revoke("after")
        await scene.refused_everywhere("after")
        wrong = [
            f"{name} counted {p.last.refused - before[name]} of {len(bad)}"
            for name, p in scene.players.items()
            if p.last.refused != before[name] + len(bad)
        ]
        slow = [f"counted after {counted:.1f} s"] if scale.whole and counted > COUNTED_WITHIN else []
        return judge(
            scene,
            f"{len(bad):,} damaged records: all refused, counted {counted:.1f} s after the last",
            also=[*wrong, *slow],
        )


def rubbish(scene: Scene) -> list[bytes]:
    """Of each kind some: noise, a record with another's signature, one of an unknown key, one that is known."""
    chance = random.Random(27)
    records = stored(scene)
    header, payload, _ = records[-1].split(b".")
    thief = SigningKey.generate("EdDSA")
    return [
        *(chance.randbytes(chance.randrange(1, 1_000)) for _ in range(20)),
        *(b".".join([header, payload, base64url.encode(chance.randbytes(64))]) for _ in range(20)),
        b".".join([header, payload, base64url.encode(thief.sign(header + b"." + payload))]),
        *records,
    ]


async def flood(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Rubbish at 1,000 a second, then as fast as it goes; revocations meanwhile."""
    seconds = scale.of(3, 30)
    figures: list[str] = []
    broken: list[str] = []
    async with open_scene(
        stage, directory, verifiers=["v1", "v2"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        await scene.present("steady")
        for rate in (FLOOD_RATE, None):
            since = time.time()
            with scene.fault():
                count, latency = await _flooded(scene, rate, seconds)
                healed = await scene.healed(within=120)
            growth = max(memory_growth(p.seat.history, since) for p in scene.players.values())
            figures.append(
                f"{count / seconds:,.0f}/s: revocations refused within {latency * 1000:,.0f} ms, "
                f"{growth / 1024 / 1024:.0f} MB more memory, all well {healed:.1f} s later"
            )
            broken += [f"memory grew by {growth:,} bytes"] if growth > MEMORY_MAX else []
            if scale.whole and rate is not None and latency > LATENCY_MAX:
                broken.append(f"a revocation took {latency:.1f} s to come through")
        return judge(scene, *figures, also=broken)


async def _flooded(scene: Scene, rate: int | None, seconds: float) -> tuple[int, float]:
    """Revoke under a flood; returns how large it was, and the longest that a revocation took to come through."""
    report = scene.directory / f"flood-{rate}.json"
    victims = [f"victim-{rate}-{number}" for number in range(6)]
    await scene.present(*victims)
    order = {
        "kafka": scene.stage.broker.bootstrap,
        "topic": scene.home.topic,
        "rate": rate,
        "seconds": seconds,
        "samples": [base64.b64encode(sample).decode() for sample in rubbish(scene)],
        "report": str(report),
    }
    before = [(player, _bad(player.last)) for player in scene.players.values()]
    begin = time.monotonic()
    pid = await scene.stage.zygote.run("tests.faults.flooding", order, log=scene.directory / "flood.log")
    latency = 0.0
    for number, victim in enumerate(victims):
        await asyncio.sleep(max(0.0, begin + (number + 0.5) * seconds / len(victims) - time.monotonic()))
        assert await scene.revoke(victim)
        latency = max(latency, await scene.refused_everywhere(victim, within=120))
    await scene.stage.zygote.wait(pid)
    count: int = json.loads(report.read_text())
    await until(
        lambda: all(_bad(p.last) >= bad + count for p, bad in before),
        lambda: f"{count} bad records counted: {[(_bad(p.last) - bad) for p, bad in before]}",
        within=120,
    )
    return count, latency


def _bad(moment: Moment) -> int:
    """How many records were counted that changed nothing."""
    return moment.refused + moment.counters.get("duplicate", 0)


ROWS = [
    Row("F10 records", "records in the topic with each byte wrong once, and cut off at each length", damaged_records),
    Row("F27", "rubbish in the topic: 1,000 records a second, then as fast as it goes", flood, alone=True),
]
