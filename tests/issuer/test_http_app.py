import asyncio
from pathlib import Path

import pytest

from ostraka_issuer.errors import FeedAheadError, IssuerError
from ostraka_issuer.feed.role import FeedRole
from ostraka_issuer.http.app import create_app
from ostraka_issuer.provision import create_home
from tests.issuer.world import new_settings


async def test_whoever_serves_hears_that_the_feed_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = new_settings(tmp_path)
    await create_home(settings)

    async def ahead(_self: FeedRole) -> None:
        raise FeedAheadError("the topic knows more than the database")

    monkeypatch.setattr(FeedRole, "wait", ahead)
    heard: asyncio.Queue[IssuerError] = asyncio.Queue()
    app = create_app(settings, ended=heard.put_nowait)
    async with app.router.lifespan_context(app):
        error = await asyncio.wait_for(heard.get(), 10)
    assert isinstance(error, FeedAheadError)


async def test_everything_ends_with_the_application(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    await create_home(settings)
    before = asyncio.all_tasks()
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        assert len(asyncio.all_tasks()) > len(before)
    assert asyncio.all_tasks() == before
