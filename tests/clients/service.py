"""An issuer in a process of its own, as a stranger's library meets it: over a socket, by its documents."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ostraka_issuer.accounts.client_admin import Clients
from ostraka_issuer.accounts.client_changes import NewClient
from ostraka_issuer.accounts.clients import TOKEN_EXCHANGE
from ostraka_issuer.settings import IssuerSettings, load_settings
from ostraka_issuer.store import open_store
from ostraka_schemas.jwk import SigningKey
from tests.kafka.broker import Broker
from tests.support.stack import PASSWORD, IssuerHome, make_home

WITH_SECRET = "billing"
WITH_KEY = "shipping"
GRANTS = ("client_credentials", TOKEN_EXCHANGE)


@dataclass(frozen=True)
class Service:
    """Where the issuer is, and two clients that it knows: one with a secret, one with a key."""

    home: IssuerHome
    secret: str = field(repr=False)
    key: SigningKey = field(repr=False)

    @property
    def url(self) -> str:
        return self.home.url

    async def login(self, username: str = "alice") -> dict[str, Any]:
        """What a person gets for a password."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            answer = await client.post("/login", json={"username": username, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


async def make_service(directory: Path, broker: Broker, topic: str, **settings: str) -> Service:
    """Make its home, its users and both clients; start it with ``running_issuer(service.home)``."""
    home = await make_home(directory, broker, topic, **settings)
    key = SigningKey.generate("ES256")
    values = {name.removeprefix("OSTRAKA_").lower(): value for name, value in home.environment.items()}
    secret = await _make_clients(load_settings(**values), key)
    return Service(home, secret, key)


async def _make_clients(settings: IssuerSettings, key: SigningKey) -> str:
    store = await asyncio.to_thread(open_store, settings)
    try:
        clients = Clients(store, issuer=settings.issuer)
        common: dict[str, Any] = {"grant_types": GRANTS, "audiences": ("orders",), "permissions": ("orders:read",)}
        _, secret = await clients.add(NewClient(WITH_SECRET, "Billing", auth_method="client_secret_basic", **common))
        keys = {"keys": [key.public.to_jwk()]}
        await clients.add(NewClient(WITH_KEY, "Shipping", auth_method="private_key_jwt", jwks=keys, **common))
    finally:
        await store.close()
    assert secret is not None
    return secret
