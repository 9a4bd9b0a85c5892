"""F19 and I7: two issuers on one database."""

import asyncio
import os
import random
import signal
import uuid
from pathlib import Path
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, TopicPartition

from ostraka_issuer.api_client import ApiClient
from ostraka_issuer.desk.ports import LOCALHOST, find_free_port
from ostraka_schemas import base64url
from ostraka_schemas.errors import MalformedError
from ostraka_schemas.records import Position, Record, read_payload
from tests.faults.pair import open_pair, stop_at_random
from tests.faults.rows.base import Result, Row, Scale, judge
from tests.faults.scene import Scene, open_scene
from tests.faults.stage import Stage
from tests.postgres.admin import execute
from tests.postgres.server import Server, choose_server
from tests.support.stack import until_ready


async def two_issuers(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Two issuers on one home; one is stopped at a random moment of its work, and goes on later."""
    chance = random.Random(19)
    rounds, frozen = int(scale.of(1, 8)), scale.of(0.5, 8)
    refused = 0
    async with open_scene(
        stage, directory, verifiers=["v1", "v2"], max_staleness=scale.max_staleness, heartbeat=scale.heartbeat
    ) as scene:
        port = find_free_port()
        environment = {**os.environ, **scene.home.environment, "OSTRAKA_HTTP_PORT": str(port)}
        other = await stage.zygote.start(environment, log=directory / "other.log", clock=scene.clock.path)
        async with ApiClient(f"http://{LOCALHOST}:{port}") as second:
            await until_ready(second, scene.home)
            first, old = scene.client, scene.issuer
            assert old is not None
            names = [f"round {number}, {who}" for number in range(rounds) for who in ("old", "new", "both")]
            await scene.present("steady", *names)
            # Who is stopped in the middle of a transaction keeps the other from the database.
            with scene.fault():
                for number in range(rounds):
                    asking = asyncio.create_task(scene.revoke(f"round {number}, old"))
                    await asyncio.sleep(chance.uniform(0, 0.02))
                    os.kill(old, signal.SIGSTOP)
                    scene.client = second
                    refused += not await scene.revoke(f"round {number}, new")
                    await asyncio.sleep(frozen)
                    os.kill(old, signal.SIGCONT)
                    refused += not await asking
                    scene.client = first
                    refused += not await scene.revoke(f"round {number}, both")
                healed = await scene.healed()
            for name in {revocation.token for revocation in scene.revocations}:
                await scene.refused_everywhere(name)
            twice = await contents_given_twice(scene)
        os.kill(other, signal.SIGKILL)
        await stage.zygote.wait(other)
        return judge(
            scene,
            f"{rounds} times stopped for {frozen:.1f} s: {len(scene.revocations)} revocations acknowledged by either, "
            f"{refused} refused; no position with two contents; all well {healed:.1f} s later",
            also=twice,
        )


async def contents_given_twice(scene: Scene) -> list[str]:
    """Positions for which the topic holds two contents."""
    seen: dict[Position, bytes] = {}
    found = []
    for raw in await read_topic(scene):
        try:
            content = read_payload(base64url.decode(raw.split(b".")[1]))
        except (MalformedError, IndexError):
            continue
        if isinstance(content, Record) and seen.setdefault(content.position, raw) != raw:
            found.append(f"two contents at {content.position}")
    assert seen, "the topic holds records"
    return found


async def read_topic(scene: Scene) -> list[bytes]:
    """Everything that the feed's topic holds."""
    partition = TopicPartition(scene.home.topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=scene.stage.broker.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        values: list[bytes] = []
        async with asyncio.timeout(30):
            while await consumer.position(partition) < end:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    values += [record.value for record in records if record.value is not None]
    finally:
        await consumer.stop()
    return values


async def stopped_at_random(stage: Stage, directory: Path, scale: Scale) -> Result:
    """Two issuers under load, one of them stopped at a random moment again and again; on either database."""
    stage.calm()
    rounds, longest = int(scale.of(3, 25)), scale.of(4, 8)
    figures, broken = [], []
    server = choose_server()
    assert not isinstance(server, str)
    server.start()
    try:
        for kind, url in (("SQLite", None), ("PostgreSQL", _new_database(server))):
            home = directory / kind
            home.mkdir()
            topic = f"feed-{uuid.uuid4().hex[:12]}"
            async with open_pair(stage.broker, home, topic, url) as pair:
                spans = await stop_at_random(pair, rounds, random.Random(7), longest)
                try:
                    told = await pair.judge()
                except AssertionError as failure:
                    broken.append(f"{kind}: {failure}")
                else:
                    figures.append(f"{kind}: {len(spans)} times stopped, for {max(spans):.1f} s at most: {told}")
    finally:
        server.stop()
    return Result((*figures, "no position with two contents; the topic is the database"), None, tuple(broken))


def _new_database(server: Server) -> str:
    name = f"faults_{uuid.uuid4().hex[:12]}"
    execute(server.url, f"CREATE DATABASE {name}")
    return urlsplit(server.url)._replace(path=f"/{name}").geturl()


def _postgres_is_missing() -> str | None:
    server = choose_server()
    return server if isinstance(server, str) else None


ROWS = [
    Row(
        "I7",
        "two issuers under load; one is stopped at random moments and goes on, on SQLite and on PostgreSQL",
        stopped_at_random,
        short=False,
        alone=True,
        missing=_postgres_is_missing,
    ),
    Row("F19", "two issuers on one home; one is stopped in its work and goes on", two_issuers, short=False),
]
