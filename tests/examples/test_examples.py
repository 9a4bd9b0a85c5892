"""The examples as anybody would run them, and the tour from login to refusal."""

import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from ostraka_issuer.desk.ports import find_free_port
from tests.cli.terminal import Ran, environment, run
from tests.desk.running import Desk, dev
from tests.kafka.fixtures import OwnKafka

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PATIENCE = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest_asyncio.fixture
async def desk(own_kafka: OwnKafka, tmp_path: Path) -> AsyncIterator[Desk]:
    broker = await own_kafka()
    # With a home of its own the topics have their usual names, which the examples use.
    where = ["--kafka", broker.bootstrap] if broker.true_kafka else []
    with dev("--home", str(tmp_path / "home"), *where, temporary=tmp_path) as running:
        yield running


@contextmanager
def example(name: str, desk: Desk, log: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    told = {"OSTRAKA_ANCHOR": desk.found["anchor"], "OSTRAKA_KAFKA": desk.found["kafka"], **variables}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / name)], env=environment(told), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(PATIENCE) is not None


async def until(condition: Callable[[], Awaitable[bool]], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await condition():
        assert time.monotonic() < deadline, log.read_text()
        await asyncio.sleep(0.05)


def token_of(desk: Desk, name: str) -> str:
    ran = run("login", name, "--show-token", env=desk.variables)
    assert ran.code == 0, ran.err
    return ran.out.strip()


def revoke(desk: Desk, *what: str) -> None:
    assert run("login", "operator", env=desk.variables).code == 0
    ran = run("revoke", *what, "--reason", "test", env=desk.variables)
    assert ran.code == 0, ran.err


async def test_the_web_service(desk: Desk, tmp_path: Path) -> None:
    token, log, port = token_of(desk, "alice"), tmp_path / "log", find_free_port()
    with example("orders_api.py", desk, log, OSTRAKA_HTTP_PORT=str(port)):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:

            async def ready() -> bool:
                try:
                    return bool((await http.get("/healthz")).json()["ready"])
                except httpx.HTTPError:
                    return False

            async def order(*, status: int, **headers: str) -> bool:
                return (await http.post("/orders", json={"order": 1}, headers=headers)).status_code == status

            await until(ready, log)
            assert await order(status=401)
            assert await order(status=201, Authorization=f"Bearer {token}")
            revoke(desk, "permission", "orders:create")
            await until(lambda: order(status=403, Authorization=f"Bearer {token}"), log)
            revoke(desk, "subject", "alice")
            await until(lambda: order(status=401, Authorization=f"Bearer {token}"), log)


@asynccontextmanager
async def kafka_clients(desk: Desk) -> AsyncIterator[tuple[AIOKafkaProducer, AIOKafkaConsumer]]:
    producer = AIOKafkaProducer(bootstrap_servers=desk.found["kafka"])
    consumer = AIOKafkaConsumer(
        "orders.rejected", bootstrap_servers=desk.found["kafka"], auto_offset_reset="earliest", fetch_max_wait_ms=50
    )
    async with producer, consumer:
        yield producer, consumer


async def test_the_handler_of_events(desk: Desk, tmp_path: Path) -> None:
    token, log = token_of(desk, "alice"), tmp_path / "log"
    headers = [("authorization", f"Bearer {token}".encode())]
    rejected: list[Any] = []
    with example("orders_handler.py", desk, log):
        async with kafka_clients(desk) as (producer, consumer):

            async def handled() -> bool:
                return "order {'order': 1}" in log.read_text()

            await producer.send_and_wait("orders", b'{"order": 1}', headers=headers)
            await until(handled, log)
            revoke(desk, "subject", "alice")
            values = (b'{"order": %d}' % number for number in itertools.count(2))

            async def refused() -> bool:
                # The desk has a handler of its own; the example has refused as well once there are two copies.
                await producer.send_and_wait("orders", next(values), key=b"k", headers=headers)
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    rejected.extend(records)
                return any(count == 2 for count in Counter(record.value for record in rejected).values())

            await until(refused, log)
    value = next(value for value, count in Counter(record.value for record in rejected).items() if count == 2)
    for record in rejected:
        if record.value == value:
            assert record.key == b"k"
            assert ("ostraka-reason", b"revoked") in record.headers
            assert headers[0] in record.headers
    assert f"order {json.loads(value)}" not in log.read_text()


def verify(desk: Desk, token: str) -> Ran:
    told = {"OSTRAKA_ANCHOR": desk.found["anchor"], "OSTRAKA_KAFKA": desk.found["kafka"]}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "verify_token.py")],
        env=environment(told),
        input=token,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_without_a_framework(desk: Desk) -> None:
    token = token_of(desk, "alice")
    accepted = verify(desk, token)
    assert "may create orders until" in accepted.out, accepted
    assert accepted.code == 0
    revoke(desk, "permission", "orders:create")
    refused = verify(desk, token)
    assert (refused.code, refused.out) == (1, "refused: permission_denied\n")
    assert verify(desk, "nonsense").out == "refused: malformed\n"


def test_the_tour_from_login_to_refusal(desk: Desk) -> None:
    port = desk.found["issuer"].rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "tour.py"), desk.found["orders"]],
        env=environment({**desk.variables, "OSTRAKA_HTTP_PORT": port}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "an order: 201" in done.stdout
    assert "an order: 401" in done.stdout
    assert "ms after the revocation was committed" in done.stdout


@pytest.mark.parametrize("name", ["verify_token.py", "tour.py"])
def test_without_what_they_need_they_say_how_they_are_used(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        env=environment({}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert f"{name}" in done.stderr
    assert "Traceback" not in done.stderr
