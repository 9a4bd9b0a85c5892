from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.issuer.front import Desk, open_desk
from tests.issuer.world import World


@pytest_asyncio.fixture
async def world(tmp_path: Path, store_url: str | None) -> AsyncIterator[World]:
    world = await World.make(tmp_path, database=store_url)
    yield world
    await world.close()


@pytest_asyncio.fixture
async def desk(tmp_path: Path, store_url: str | None) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, database=store_url) as desk:
        yield desk
