"""The example that hears of cut-offs over two channels: one of them is killed."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from ostraka_issuer.cli.exits import Exit
from ostraka_issuer.desk.ports import find_free_port
from tests.cli.terminal import run
from tests.desk.running import dev
from tests.docs.pages import ROOT, blocks
from tests.examples.test_examples import example, token_of, until
from tests.kafka.fixtures import OwnKafka


def test_the_page_shows_the_example() -> None:
    text = (ROOT / "examples" / "orders_two_channels.py").read_text(encoding="utf-8")
    snippets = blocks(ROOT / "docs" / "how-to" / "two-channels.md", "python")
    assert len(snippets) == 3
    assert [snippet.text for snippet in snippets if snippet.text not in text] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.true_kafka
async def test_a_cut_off_arrives_over_http_while_kafka_is_dead(own_kafka: OwnKafka, tmp_path: Path) -> None:
    broker, log, port = await own_kafka(), tmp_path / "log", find_free_port()
    told = {"OSTRAKA_STATE": str(tmp_path / "state"), "OSTRAKA_HTTP_PORT": str(port)}
    where = ["--home", str(tmp_path / "home"), "--kafka", broker.bootstrap]
    with dev(*where, temporary=tmp_path) as desk:
        token = {"Authorization": f"Bearer {token_of(desk, 'alice')}"}
        with example("orders_two_channels.py", desk, log, OSTRAKA_ISSUER=desk.found["issuer"], **told):
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:

                async def ready() -> bool:
                    return bool((await health(http)).get("ready"))

                async def cut_off() -> bool:
                    return (await http.post("/orders", json={"order": 2}, headers=token)).status_code == 403

                await until(ready, log)
                assert (await http.post("/orders", json={"order": 1}, headers=token)).status_code == 201
                await broker.kill()
                assert run("login", "operator", env=desk.variables).code == 0
                ran = run("revoke", "permission", "orders:create", "--reason", "test", env=desk.variables)
                assert ran.code == Exit.NOT_READY, "committed, and the broker does not have it"
                await until(cut_off, log)
                assert (await http.get("/orders", headers=token)).status_code == 200
                assert (await health(http))["freshness"] == "fresh"
    assert any((tmp_path / "state").iterdir())


async def health(http: httpx.AsyncClient) -> dict[str, Any]:
    try:
        found: dict[str, Any] = (await http.get("/healthz")).json()
    except httpx.HTTPError:
        return {}
    return found
