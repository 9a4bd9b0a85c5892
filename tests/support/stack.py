"""A real issuer in a process of its own, for tests and benchmarks: its home, its users, and a client for it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ostraka_consumers import TrustAnchor
from ostraka_issuer.accounts.offline import open_accounts
from ostraka_issuer.api_client import ApiClient
from ostraka_issuer.desk.ports import find_free_port
from ostraka_issuer.home import Home
from ostraka_issuer.provision import create_home
from ostraka_issuer.settings import load_settings
from tests.kafka.broker import Broker
from tests.support.zygote import Zygote

PASSWORD = "correct horse battery staple"
READY_SECONDS = 30.0
USERS = {
    "alice": ["orders:create", "orders:read", "reports:read"],
    "bob": ["orders:*"],
    "operator": ["revocations:*", "keys:*"],
}


@dataclass(frozen=True)
class IssuerHome:
    """A finished home and the environment in which an issuer runs on it."""

    path: Path
    url: str
    kafka: str
    topic: str
    environment: dict[str, str]

    @property
    def anchor(self) -> TrustAnchor:
        return TrustAnchor.load(Home(self.path).anchor)

    @property
    def log(self) -> Path:
        return self.path.with_name(f"{self.path.name}.log")


async def make_home(directory: Path, broker: Broker, topic: str, **settings: str) -> IssuerHome:
    """Make a home with the three users, for the feed in ``topic`` of ``broker``."""
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "OSTRAKA_HOME": str(directory),
        "OSTRAKA_ISSUER": url,
        "OSTRAKA_KAFKA": broker.bootstrap,
        "OSTRAKA_KAFKA_EMBEDDED": str(not broker.true_kafka).lower(),
        "OSTRAKA_FEED_TOPIC": topic,
        "OSTRAKA_HTTP_PORT": str(port),
        "OSTRAKA_PASSWORD_PROFILE": "unsafe-for-tests",
        **{f"OSTRAKA_{name.upper()}": value for name, value in settings.items()},
    }
    values = {name.removeprefix("OSTRAKA_").lower(): value for name, value in environment.items()}
    loaded = load_settings(**values)
    await create_home(loaded)
    async with open_accounts(loaded) as accounts:
        for name, permissions in USERS.items():
            await accounts.add_user(name, PASSWORD, permissions)
    return IssuerHome(directory, url, broker.bootstrap, topic, environment)


@asynccontextmanager
async def running_issuer(home: IssuerHome) -> AsyncIterator[ApiClient]:
    """An issuer process on ``home``, ready, and a client for it. It is killed at the end."""
    async with Zygote() as zygote, ApiClient(home.url) as client:
        pid = await zygote.start({**os.environ, **home.environment}, log=home.log)
        await until_ready(client, home)
        try:
            yield client
        finally:
            os.kill(pid, 15)
            await zygote.wait(pid)


async def until_ready(client: ApiClient, home: IssuerHome) -> None:
    """Wait until the issuer says that it is ready; fails with its log."""
    deadline = time.monotonic() + READY_SECONDS
    while not await client.is_ready():
        if time.monotonic() > deadline:
            log = home.log.read_text() if home.log.exists() else "no log"
            raise AssertionError(f"the issuer was not ready within {READY_SECONDS:.0f} s:\n{log[-4_000:]}")
        await asyncio.sleep(0.02)
