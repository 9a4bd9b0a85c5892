"""Without the extra ``otel`` everything works, and nothing of it is imported; with it, only on request.

FastAPI brings OpenTelemetry's bare interface along, so that is there wherever the issuer is. A verifier needs not even
that.
"""

import subprocess
import sys
from pathlib import Path

import pytest

REFUSING = """
import sys

class Refusing:
    @staticmethod
    def find_spec(wanted, path=None, target=None):
        for name in sys.argv[1].split():
            if wanted == name or wanted.startswith(name + "."):
                raise ImportError(wanted)

sys.meta_path.insert(0, Refusing)
"""

ISSUER = """
import asyncio
from pathlib import Path
from tests.issuer.front import open_desk

async def main():
    async with open_desk(Path(sys.argv[2])) as desk:
        answer = await desk.client.post(
            "/admin/revocations", json={"kind": "subject", "username": "alice"}, headers=await desk.bearer()
        )
        await desk.applied(answer)
        assert (await desk.client.get("/metrics")).status_code == 200

asyncio.run(main())
import ostraka_issuer.cli
"""

VERIFIER = """
import asyncio
from tests.support.fake_issuer import FakeIssuer
from tests.support.verifiers import ready_verifier
import ostraka_consumers.sources

async def main():
    issuer = FakeIssuer()
    verifier = await ready_verifier(issuer)
    verifier.verify(issuer.token())
    await verifier.stop()

asyncio.run(main())
"""

SHOW = """
print("loaded:", [name for name in sys.modules if name.startswith(sys.argv[3])])
"""


@pytest.mark.parametrize("refused", ["opentelemetry.sdk opentelemetry.exporter", ""], ids=["without", "with"])
def test_an_issuer(tmp_path: Path, refused: str) -> None:
    assert loaded(ISSUER, refused, tmp_path, "opentelemetry.sdk") == "loaded: []"


@pytest.mark.parametrize("refused", ["opentelemetry prometheus_client structlog fastapi", ""], ids=["without", "with"])
def test_a_verifier(tmp_path: Path, refused: str) -> None:
    assert loaded(VERIFIER, refused, tmp_path, "opentelemetry") == "loaded: []"


def loaded(script: str, refused: str, path: Path, prefix: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", REFUSING + script + SHOW, refused, str(path), prefix],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
