import pytest_asyncio

from tests.issuer.front import Desk

from .scene import Shop


@pytest_asyncio.fixture
async def shop(desk: Desk) -> Shop:
    return await Shop.open(desk)
