from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.issuer.world import World


@pytest_asyncio.fixture
async def any_world(store_url: str | None, tmp_path: Path) -> AsyncIterator[World]:
    """On each of the databases."""
    world = await World.make(tmp_path, database=store_url)
    yield world
    await world.close()
