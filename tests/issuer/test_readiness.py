"""/readyz on a real Kafka: what an operator must mend makes the issuer unready, what passes by itself does not."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ostraka_schemas.topics import FEED
from tests.issuer.front import Desk, open_desk
from tests.kafka.fixtures import OwnKafka
from tests.kafka.topics import create_topic, delete_topics

PATIENCE = 45.0


async def ready(desk: Desk, status: int, broker: str) -> dict[str, Any]:
    """Wait until /readyz answers so."""
    body: dict[str, Any] = {}
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await desk.client.get("/readyz")
                body = answer.json()
                if (answer.status_code, body["feed"]["broker"]) == (status, broker):
                    return body
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"/readyz does not become {status} with a broker that is {broker}: {body}")


@pytest.mark.true_kafka
@pytest.mark.slow
async def test_an_outage_only_delays_but_a_wrong_topic_waits_for_an_operator(
    own_kafka: OwnKafka, tmp_path: Path
) -> None:
    broker = await own_kafka()
    await create_topic(broker.bootstrap, "feed", configs={**FEED.configs, "cleanup.policy": "compact"})
    async with open_desk(tmp_path, kafka=broker.bootstrap, feed_topic="feed") as desk:
        body = await ready(desk, 503, "away")
        assert body["ready"] is False
        assert any("nothing is published" in reason and "cleanup.policy" in reason for reason in body["reasons"])

        await delete_topics(broker.bootstrap, ["feed"])
        assert (await ready(desk, 200, "connected"))["reasons"] == []

        await broker.kill()
        assert (await ready(desk, 200, "away"))["reasons"] == []
        answer = await desk.client.post("/login", json={"username": "alice", "password": "wrong password"})
        assert answer.status_code == 401, "it works on"
        await broker.restart()
        await ready(desk, 200, "connected")
