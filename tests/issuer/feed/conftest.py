from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from ostraka_issuer.store import Store
from tests.issuer.feed.world import new_store


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = new_store(tmp_path / "ostraka.db")
    yield store
    await store.close()
