from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.issuer.world import World


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = await World.make(tmp_path)
    yield world
    await world.close()
