"""kill -9 of the issuer at any moment of a revocation loses none that was acknowledged.

Each life of the issuer ends by SIGKILL in the middle of a revocation: at one of the eight failpoints, or at a random
moment. A verifier of its own follows the feed all the while. In the end every acknowledged revocation is refused, no
position has two contents, and the topic holds what the database holds.
"""

import asyncio
import os
import random
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from ostraka_consumers import Revoked, Verifier
from ostraka_consumers.sources import KafkaSource
from ostraka_issuer.api_client import ApiClient, IssuerRefused, IssuerUnreachable, Tokens
from ostraka_issuer.failpoints import NAMES
from tests.kafka.broker import Broker
from tests.support.stack import PASSWORD, IssuerHome, make_home, until_ready
from tests.support.zygote import Zygote

KILLS = 25
RANDOM_KILLS = 40
"""A revocation takes some 10 ms from request to answer here; a kill after this hits what follows the answer."""
DEADLINE = 30.0


class Story:
    """One home, killed again and again, and what its client was told."""

    def __init__(self, home: IssuerHome, zygote: Zygote, client: ApiClient, verifier: Verifier) -> None:
        self.home, self.zygote, self.client, self.verifier = home, zygote, client, verifier
        self.acknowledged: dict[str, str] = {}
        self.operator = ""
        self.alice: Tokens | None = None

    async def live(self, failpoint: str | None) -> int:
        """Start the issuer and wait until it is ready."""
        pid = await self.zygote.start({**os.environ, **self.home.environment}, log=self.home.log, failpoint=failpoint)
        await until_ready(self.client, self.home)
        return pid

    async def new_token(self) -> str:
        """A fresh token of alice; the refresh lineage survives every life."""
        if self.alice is None:
            self.operator = (await self.client.login("operator", PASSWORD)).access_token
            self.alice = await self.client.login("alice", PASSWORD)
        self.alice = await self.client.refresh(self.alice.refresh_token)
        token = self.alice.access_token
        assert self.verifier.verify(token).subject
        return token

    async def revoke(self, token: str) -> bool:
        """Revoke ``token``; whether that was acknowledged."""
        jti = self.verifier.verify(token).token_id
        try:
            await self.client.revoke(self.operator, {"kind": "token", "jti": jti, "reason": "test"})
        except (IssuerUnreachable, IssuerRefused):
            return False
        self.acknowledged[jti] = token
        return True

    async def died(self, pid: int) -> None:
        assert await self.zygote.wait(pid) == -signal.SIGKILL, self.home.log.read_text()[-4_000:]

    async def refused_everywhere(self) -> None:
        """Every acknowledged revocation is refused by the verifier that only knows the topic."""
        await until(lambda: not self.still_good(), lambda: f"still accepted: {len(self.still_good())}")

    def still_good(self) -> list[str]:
        return [jti for jti, token in self.acknowledged.items() if not self._is_revoked(token)]

    def _is_revoked(self, token: str) -> bool:
        try:
            self.verifier.verify(token)
        except Revoked:
            return True
        return False


async def until(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, what()
        await asyncio.sleep(0.02)


async def stored_and_published(home: IssuerHome) -> tuple[list[bytes], list[bytes]]:
    """The records of the database, in order, and the distinct values of the topic in the order they first came."""
    with closing(sqlite3.connect(f"file:{home.path / 'ostraka.db'}?mode=ro", uri=True)) as database:
        stored = [raw for (raw,) in database.execute("SELECT raw FROM feed_records ORDER BY epoch, seq")]
    consumer = AIOKafkaConsumer(bootstrap_servers=home.kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partition = TopicPartition(home.topic, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        values: dict[bytes, None] = {}
        async with asyncio.timeout(DEADLINE):
            while await consumer.position(partition) < end:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    values.update(dict.fromkeys(record.value for record in records))
    finally:
        await consumer.stop()
    known = set(stored)
    return stored, [value for value in values if value in known]


Lives = Callable[[Story], Awaitable[int]]
"""Lets the issuer live and kills it, again and again; returns how often it was killed."""


class Told(NamedTuple):
    """What came of it."""

    kills: int
    acknowledged: int
    published: int


async def play(broker: Broker, directory: Path, topic: str, lives: Lives) -> Told:
    """Set the scene, let ``lives`` kill, then let the issuer live and look at what is left."""
    home = await make_home(directory / "home", broker, topic, heartbeat_interval="1")
    source = KafkaSource(broker.bootstrap, topic=topic, fetch_max_wait_ms=20)
    async with Zygote() as zygote, ApiClient(home.url) as client:
        verifier = Verifier(home.anchor, audience="orders", sources=[source], ready_timeout=DEADLINE)
        story = Story(home, zygote, client, verifier)
        first = await story.live(None)
        async with verifier:
            await story.new_token()
            os.kill(first, signal.SIGKILL)
            await story.died(first)
            kills = 1 + await lives(story)
            last = await story.live(None)
            await story.refused_everywhere()
            status = verifier.status
            assert status.alarms == ()
            assert not any(name.startswith("equivocation") for name in status.counters)
            os.kill(last, signal.SIGTERM)
            assert await zygote.wait(last) in (0, -signal.SIGTERM)
        stored, published = await stored_and_published(home)
        assert published == stored
        assert story.acknowledged
        return Told(kills, len(story.acknowledged), len(published))


def at_failpoint(failpoint: str, kills: int = KILLS) -> Lives:
    """Killed so often at this failpoint, and once after a revocation that was acknowledged."""

    async def lives(story: Story) -> int:
        acknowledged = 0
        for _ in range(kills):
            pid = await story.live(failpoint)
            token = await story.new_token()
            os.kill(pid, signal.SIGUSR1)
            acknowledged += await story.revoke(token)
            await story.died(pid)
        # Before its place is committed nothing was acknowledged; once it is published everything was.
        if failpoint in ("revoke.before_commit", "sequence.before_sign", "sequence.before_commit"):
            assert acknowledged == 0
        pid = await story.live(None)
        assert await story.revoke(await story.new_token())
        os.kill(pid, signal.SIGKILL)
        await story.died(pid)
        return kills + 1

    return lives


def at_random(kills: int = RANDOM_KILLS) -> Lives:
    """Killed so often, at random moments of a revocation."""
    chance = random.Random(42)

    async def lives(story: Story) -> int:
        longest = 0.0
        for _ in range(kills):
            pid = await story.live(None)
            # Moments before and after the answer, however slow the machine is just now.
            begin = time.monotonic()
            assert await story.revoke(await story.new_token())
            longest = max(longest, 2 * (time.monotonic() - begin))
            token = await story.new_token()
            asking = asyncio.create_task(story.revoke(token))
            await asyncio.sleep(chance.uniform(0, longest))
            os.kill(pid, signal.SIGKILL)
            await asking
            await story.died(pid)
        return kills

    return lives


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("failpoint", NAMES)
async def test_no_acknowledged_revocation_is_lost_at_a_failpoint(
    kafka: Broker, topic_prefix: str, tmp_path: Path, failpoint: str
) -> None:
    await play(kafka, tmp_path, f"{topic_prefix}.feed", at_failpoint(failpoint))


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_no_acknowledged_revocation_is_lost_at_a_random_moment(
    kafka: Broker, topic_prefix: str, tmp_path: Path
) -> None:
    await play(kafka, tmp_path, f"{topic_prefix}.feed", at_random())
