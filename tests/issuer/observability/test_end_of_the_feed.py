"""How the end of the feed looks in the log: an expected one is a sentence, a bug has its traceback."""

import asyncio
import logging
from pathlib import Path

import pytest

from ostraka_issuer.errors import FeedAheadError, FeedDown, IssuerError
from ostraka_issuer.feed.publisher import Publisher
from ostraka_issuer.http.app import create_app
from ostraka_issuer.provision import create_home
from tests.issuer.world import new_settings

WHY = "the topic knows more than the database: a backup was restored"


@pytest.mark.parametrize("error", [FeedAheadError(WHY), ZeroDivisionError(WHY)], ids=["expected", "bug"])
async def test_an_end_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    settings = new_settings(tmp_path)
    await create_home(settings)
    heard: asyncio.Queue[IssuerError] = asyncio.Queue()
    begun = asyncio.Event()

    async def ends(_self: Publisher) -> None:
        await begun.wait()
        raise error

    monkeypatch.setattr(Publisher, "run", ends)
    app = create_app(settings, ended=heard.put_nowait)
    async with app.router.lifespan_context(app):
        begun.set()
        said = await asyncio.wait_for(heard.get(), 30)
    lines = [record for record in caplog.records if record.levelno >= logging.CRITICAL]
    (line,) = lines
    assert line.getMessage() == "the feed has ended"
    if isinstance(error, FeedAheadError):
        assert said is error
        assert line.exc_info is None
        assert WHY not in caplog.text
    else:
        assert isinstance(said, FeedDown)
        assert line.exc_info is not None
        assert line.exc_info[1] is error
