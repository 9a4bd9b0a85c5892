"""The issuer that all tests of this room ask."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.clients.service import Service, make_service
from tests.kafka.broker import Broker
from tests.support.stack import running_issuer


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def service(kafka: Broker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """A running issuer; a test changes only what it made itself."""
    directory = tmp_path_factory.mktemp("clients") / "home"
    made = await make_service(directory, kafka, f"clients-{directory.parent.name}.feed")
    async with running_issuer(made.home):
        yield made
