"""Two issuers on one database: one writes the feed, the other takes over, and no place is ever given twice."""

import asyncio
import os
import random
import signal
import time
from pathlib import Path

import pytest

from ostraka_schemas.records import Position
from tests.faults.pair import Pair, Replica, contents, open_pair, stop_at_random, topic_values, until
from tests.kafka.broker import Broker

pytestmark = [pytest.mark.true_kafka, pytest.mark.slow, pytest.mark.timeout(300)]

ROUNDS = 5
LONGEST = 5.0
"""Seconds for which a process is stopped at most: some outlast the lease, some do not."""
IN_FLIGHT = 24


async def test_no_place_is_given_twice_whichever_is_stopped_and_goes_on(
    kafka: Broker, topic_prefix: str, tmp_path: Path, store_url: str | None
) -> None:
    chance = random.Random(19)
    async with open_pair(kafka, tmp_path, f"{topic_prefix}.feed", store_url) as pair:
        spans = await stop_at_random(pair, ROUNDS, chance, LONGEST)
        print(f"stopped for {', '.join(f'{span:.1f}' for span in spans)} s: {await pair.judge()}")


async def test_a_standby_takes_over_after_kill_9_and_after_a_clean_stop(
    kafka: Broker, topic_prefix: str, tmp_path: Path, store_url: str | None
) -> None:
    async with open_pair(kafka, tmp_path, f"{topic_prefix}.feed", store_url) as pair:
        operator = await pair.operator()
        for number in (signal.SIGKILL, signal.SIGTERM):
            writer = await pair.writer()
            assert await pair.revoke(writer, operator)
            begin = time.monotonic()
            code = await pair.end(writer, number)
            assert code == (-signal.SIGKILL if number is signal.SIGKILL else 0)
            ended = time.monotonic()
            (standby,) = pair.replicas
            await until(standby.writes, lambda: "the standby writes the feed")
            print(
                f"{number.name}: ended after {ended - begin:.2f} s, "
                f"another process writes {time.monotonic() - ended:.2f} s later"
            )
            assert await pair.revoke(standby, operator)
            await _heard_of(pair)
            await pair.start()
        print(await pair.judge())


async def _heard_of(pair: Pair) -> None:
    """The verifier has applied everything, and is fresh."""

    async def fresh() -> bool:
        return pair.verifier.status.freshness == "fresh"

    await until(fresh, lambda: f"fresh: {pair.verifier.status}")


async def test_what_is_revoked_at_the_standby_is_refused_at_once(
    kafka: Broker, topic_prefix: str, tmp_path: Path, store_url: str | None
) -> None:
    async with open_pair(kafka, tmp_path, f"{topic_prefix}.feed", store_url) as pair:
        operator = await pair.operator()
        writer = await pair.writer()
        (standby,) = [replica for replica in pair.replicas if replica is not writer]
        took = []
        for _ in range(10):
            begin = time.monotonic()
            assert await pair.revoke(standby, operator)
            took.append(time.monotonic() - begin)
        print(f"from asking the standby to its answer with the place: {sorted(took)[5] * 1000:.0f} ms (median of 10)")
        print(await pair.judge())


async def test_a_clean_stop_finishes_what_was_accepted(
    kafka: Broker, topic_prefix: str, tmp_path: Path, store_url: str | None
) -> None:
    async with open_pair(kafka, tmp_path, f"{topic_prefix}.feed", store_url) as pair:
        operator = await pair.operator()
        writer = await pair.writer()
        for replica in [replica for replica in pair.replicas if replica is not writer]:
            await pair.end(replica, signal.SIGKILL)
        assert await pair.revoke(writer, operator)
        asking = [asyncio.create_task(pair.revoke(writer, operator)) for _ in range(IN_FLIGHT)]
        await until(lambda: _first_is_answered(asking), lambda: "an answer")
        os.kill(writer.pid, signal.SIGTERM)
        answered = await asyncio.gather(*asking)
        code = await pair.zygote.wait(writer.pid)
        assert code == 0, writer.log.read_text()[-4_000:]
        assert not await _answers(writer)
        pair.replicas.remove(writer)
        await writer.client.__aexit__(None, None, None)
        # Nothing runs any more: what was acknowledged is in the topic already.
        stored = await pair.stored()
        assert set(contents(await topic_values(pair.home))) == set(_places(stored))
        begin = time.monotonic()
        after = await pair.start()
        print(f"{sum(answered)} of {IN_FLIGHT} answered; another writes after {time.monotonic() - begin:.2f} s")
        assert await after.writes()
        print(await pair.judge())


async def _first_is_answered(asking: list[asyncio.Task[bool]]) -> bool:
    return any(task.done() for task in asking)


async def _answers(replica: Replica) -> bool:
    return bool(await replica.readyz())


def _places(stored: list[bytes]) -> list[Position]:
    return list(contents(stored))


async def test_the_roles_may_be_processes_of_their_own(
    kafka: Broker, topic_prefix: str, tmp_path: Path, store_url: str | None
) -> None:
    async with open_pair(kafka, tmp_path, f"{topic_prefix}.feed", store_url) as pair:
        for replica in list(pair.replicas):
            await pair.end(replica, signal.SIGTERM)
        await pair.start(role="feed")
        api = await pair.start(role="api")
        assert (await api.readyz())["role"] == "api"
        assert not await api.writes()
        operator = (await api.client.login("operator", "correct horse battery staple")).access_token
        assert await pair.revoke(api, operator)
        print(await pair.judge())
