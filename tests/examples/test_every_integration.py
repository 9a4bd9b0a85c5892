"""One example of every integration, all on one desk: each takes what is good, and refuses once it is revoked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from ostraka_issuer.desk.ports import find_free_port
from tests.desk.running import Desk, dev
from tests.docs.pages import ROOT, links
from tests.examples.test_examples import example, revoke, token_of, until
from tests.kafka.fixtures import OwnKafka
from tests.kafka.topics import create_topic

ORDERS = ("orders_starlette.py", "orders_litestar.py", "orders_flask.py")
STREAM = "orders_asgi.py"
CONSUMERS = ("orders_aiokafka.py", "orders_confluent.py")


def test_the_page_names_each() -> None:
    named = {Path(link).name for link in links(ROOT / "docs" / "how-to" / "integrations.md") if "examples/" in link}
    assert named == {path.name for path in (ROOT / "examples").glob("*.py")} - {"tour.py"}


@pytest_asyncio.fixture
async def desk(own_kafka: OwnKafka, tmp_path: Path) -> AsyncIterator[Desk]:
    broker = await own_kafka()
    for topic in ("orders", "orders.rejected"):
        await create_topic(broker.bootstrap, topic)
    with dev("--home", str(tmp_path / "home"), "--kafka", broker.bootstrap, temporary=tmp_path) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.true_kafka
async def test_each_takes_what_is_good_and_refuses_what_was_revoked(desk: Desk, tmp_path: Path) -> None:
    token = token_of(desk, "alice")
    bearer = {"Authorization": f"Bearer {token}"}
    logs = {name: tmp_path / f"{name}.log" for name in (*ORDERS, STREAM, *CONSUMERS)}
    urls = {name: f"http://127.0.0.1:{find_free_port()}" for name in (*ORDERS, STREAM)}
    with ExitStack() as running:
        for name, log in logs.items():
            told = {"OSTRAKA_HTTP_PORT": urls[name].rpartition(":")[2]} if name in urls else {}
            running.enter_context(example(name, desk, log, **told))
        async with httpx.AsyncClient(trust_env=False) as http:
            await asyncio.gather(*(until_ready(http, url, logs[name]) for name, url in urls.items()))
            for name in ORDERS:
                assert (await order(http, urls[name], {})) == 401, name
                assert (await order(http, urls[name], bearer)) == 201, name
            await send(desk, token, b'{"order": 1}')
            for name in CONSUMERS:
                await until_said(logs[name], "order b'{\"order\": 1}'")
            async with http.stream("GET", urls[STREAM], headers=bearer, timeout=60) as stream:
                events = stream.aiter_lines()
                assert (await anext(events)).startswith("data: order 0")
                revoke(desk, "permission", "orders:create")
                # The stream began with a good token, and ends with it.
                async with asyncio.timeout(60):
                    async for _ in events:
                        continue
            for name in ORDERS:
                await until_refused(http, urls[name], bearer, logs[name])
            assert (await http.get(urls[STREAM], headers=bearer)).status_code == 403
            await send(desk, token, b'{"order": 2}')
            await until_copied(desk, b'{"order": 2}', 1 + len(CONSUMERS))  # the desk has a handler of its own
    for name in CONSUMERS:
        assert '"order": 2' not in logs[name].read_text()


async def until_ready(http: httpx.AsyncClient, url: str, log: Path) -> None:
    async def ready() -> bool:
        try:
            return bool((await http.get(f"{url}/healthz")).json()["ready"])
        except httpx.HTTPError:
            return False

    await until(ready, log)


async def until_refused(http: httpx.AsyncClient, url: str, bearer: dict[str, str], log: Path) -> None:
    async def refused() -> bool:
        return await order(http, url, bearer) == 403

    await until(refused, log)


async def until_said(log: Path, what: str) -> None:
    async def said() -> bool:
        return what in log.read_text()

    await until(said, log)


async def order(http: httpx.AsyncClient, url: str, bearer: dict[str, str]) -> int:
    return (await http.post(f"{url}/orders", json={"order": 1}, headers=bearer)).status_code


async def until_copied(desk: Desk, value: bytes, times: int) -> None:
    """Wait until so many have refused the message."""
    consumer = AIOKafkaConsumer(
        "orders.rejected", bootstrap_servers=desk.found["kafka"], auto_offset_reset="earliest", fetch_max_wait_ms=50
    )
    async with consumer, asyncio.timeout(60):
        async for record in consumer:
            times -= record.value == value
            if times == 0:
                return


async def send(desk: Desk, token: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=desk.found["kafka"]) as producer:
        headers = [("authorization", f"Bearer {token}".encode())]
        await producer.send_and_wait("orders", value, headers=headers)
