"""A service in Node that verifies our tokens with ``jose`` (``createRemoteJWKSet``, ``jwtVerify``)."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.node_library import NodeMissingError, ready_folder
from tests.clients.service import Service
from tests.clients.tokens import claims_of, with_another_claim
from tests.support.noted import note

SECONDS = 60


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    try:
        found = ready_folder()
    except NodeMissingError as missing:
        pytest.skip(str(missing))
    note(request.config, "node", "jose")
    return found


async def verify(folder: Path, service: Service, token: str, *, audience: str = "orders") -> dict[str, Any]:
    def work() -> dict[str, Any]:
        command = ["node", "verify.mjs", service.url, audience, token]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert done.stdout, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return await asyncio.to_thread(work)


async def test_it_accepts_a_good_token(service: Service, folder: Path) -> None:
    token = (await service.login())["access_token"]
    found = await verify(folder, service, token)
    assert found["payload"] == claims_of(token)
    assert found["protectedHeader"]["typ"] == "at+jwt"


async def test_it_refuses_what_is_changed_or_meant_for_others(service: Service, folder: Path) -> None:
    token = (await service.login())["access_token"]
    changed = await verify(folder, service, with_another_claim(token))
    assert changed == {"code": "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"}
    meant_for_others = await verify(folder, service, token, audience="payments")
    assert meant_for_others == {"code": "ERR_JWT_CLAIM_VALIDATION_FAILED"}
