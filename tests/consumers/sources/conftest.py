"""A feed over HTTP that has begun, and a sink that knows what is true of it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.consumers.sources.feed_server import FeedServer, serving
from tests.consumers.sources.knowing import KnowingSink
from tests.support.fake_issuer import FakeIssuer


@pytest_asyncio.fixture
async def server() -> AsyncIterator[FeedServer]:
    issuer = FakeIssuer()
    issuer.open()
    async with serving(issuer) as server:
        await server.beat()
        yield server


@pytest.fixture
def sink(server: FeedServer) -> KnowingSink:
    return KnowingSink(server)
