"""A running issuer behind its HTTP doors, without a socket and without a broker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from ostraka_issuer.accounts.clients import register_public_client
from ostraka_issuer.http.app import create_app
from ostraka_issuer.observability.telemetry import Traces
from ostraka_issuer.provision import create_home
from ostraka_issuer.runtime import Issuer
from ostraka_schemas.records import Position
from tests.issuer.world import PASSWORD, new_settings

BASE = "http://id.example"


@dataclass
class Desk:
    app: FastAPI
    client: httpx.AsyncClient
    issuer: Issuer

    async def login(self, username: str = "operator", **more: Any) -> dict[str, Any]:
        answer = await self.client.post("/login", json={"username": username, "password": PASSWORD, **more})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def bearer(self, username: str = "operator") -> dict[str, str]:
        return {"authorization": f"Bearer {(await self.login(username))['access_token']}"}

    async def refresh(self, refresh_token: str, **more: str) -> httpx.Response:
        return await self.client.post(
            "/token", data={"grant_type": "refresh_token", "refresh_token": refresh_token, **more}
        )

    async def register(self, client_id: str) -> None:
        """Make a public client that opens sessions."""
        async with self.issuer.store.write() as tx:
            await register_public_client(tx, client_id, now=self.issuer.clock.now().wall)

    async def applied(self, answer: httpx.Response) -> None:
        """Wait until the issuer's own verifier has applied what ``answer`` says was committed."""
        body = answer.json()
        assert await self.issuer.verifier.wait_for(Position(body["epoch"], body["seq"]), 10)


@asynccontextmanager
async def open_desk(path: Path, *, traces: Traces | None = None, **values: Any) -> AsyncIterator[Desk]:
    settings = new_settings(path, **values)
    if not settings.home.exists():
        await create_home(settings)
    app = create_app(settings, traces=traces)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        issuer: Issuer = app.state.issuer
        if not await issuer.accounts.users(limit=1):
            await issuer.accounts.add_user("alice", PASSWORD, ["orders:create", "orders:read"])
            await issuer.accounts.add_user("operator", PASSWORD, ["revocations:*", "keys:*"])
        yield Desk(app, client, issuer)
