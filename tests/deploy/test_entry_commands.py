"""What the containers would run, run here: the same commands in the same order, on a Kafka that makes no topics."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from ostraka_issuer.desk.children import start_child, stop_child
from ostraka_issuer.desk.ports import find_free_port
from tests.deploy import compose
from tests.kafka.fixtures import OwnKafka
from tests.kafka.topics import create_topic

READY_SECONDS = 60.0
TOUR_SECONDS = 60.0
PATIENCE = 10.0


@asynccontextmanager
async def container(service: str, variables: dict[str, str], log: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    argv, environment = compose.entry_command(service).here(variables)
    with log.open("wb") as output:
        process = start_child(argv, output=output, environment=environment, directory=compose.ROOT)
        try:
            yield process
        finally:
            await stop_child(process, PATIENCE)


async def answers(url: str, log: Path) -> None:
    """Wait until ``url`` answers 200, as compose's health check does."""
    deadline = time.monotonic() + READY_SECONDS
    async with httpx.AsyncClient(trust_env=False) as client:
        while time.monotonic() < deadline:
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.05)
    raise AssertionError(f"{url} did not answer:\n{log.read_text()[-3_000:]}")


async def test_from_the_first_start_to_a_refused_order_without_docker(
    own_kafka: OwnKafka, empty_postgres: str, tmp_path: Path
) -> None:
    broker = await own_kafka()
    for topic in ("orders", "orders.rejected"):
        await create_topic(broker.bootstrap, topic)
    issuer_port, api_port = find_free_port(), find_free_port()
    kafka = {"OSTRAKA_KAFKA": broker.bootstrap, "OSTRAKA_ANCHOR": str(tmp_path / "anchor.json")}
    issuer = {
        **kafka,
        "OSTRAKA_HOME": str(tmp_path / "home"),
        "OSTRAKA_DATABASE": empty_postgres,
        "OSTRAKA_ISSUER": f"http://127.0.0.1:{issuer_port}",
        "OSTRAKA_HTTP_HOST": "127.0.0.1",
        "OSTRAKA_HTTP_PORT": str(issuer_port),
        "OSTRAKA_KAFKA_EMBEDDED": str(not broker.true_kafka).lower(),
    }
    api = {**kafka, "OSTRAKA_HTTP_HOST": "127.0.0.1", "OSTRAKA_HTTP_PORT": str(api_port)}
    logs = {name: tmp_path / f"{name}.log" for name in ("issuer", "handler", "api")}

    argv, environment = compose.entry_command("init").here(issuer)
    first = await asyncio.to_thread(subprocess.run, argv, env=environment, timeout=READY_SECONDS, capture_output=True)
    assert first.returncode == 0, first.stderr.decode()

    async with container("issuer", issuer, logs["issuer"]):
        await answers(f"http://127.0.0.1:{issuer_port}/healthz", logs["issuer"])
        async with (
            container("orders-handler", kafka, logs["handler"]) as handler,
            container("orders-api", api, logs["api"]),
        ):
            await answers(f"http://127.0.0.1:{api_port}/healthz", logs["api"])
            tour, environment = compose.Entry(
                ("python", "examples/tour.py", f"http://127.0.0.1:{api_port}"), compose.image_environment()
            ).here(issuer)
            toured = await asyncio.to_thread(
                subprocess.run, tour, env=environment, cwd=compose.ROOT, timeout=TOUR_SECONDS, capture_output=True
            )
            assert toured.returncode == 0, toured.stdout.decode() + toured.stderr.decode() + logs["api"].read_text()
            assert "201" in toured.stdout.decode()
            assert "401" in toured.stdout.decode()
            assert handler.poll() is None, logs["handler"].read_text()
