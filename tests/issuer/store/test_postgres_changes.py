"""Hearing of changes goes on whenever the connection breaks, also while it begins to listen."""

from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.store import postgres_changes


class Dying:
    """A connection whose server goes at this very moment."""

    terminated = False

    async def add_listener(self, *_: Any) -> None:
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    def terminate(self) -> None:
        self.terminated = True


async def test_a_connection_that_dies_while_it_begins_to_listen_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    dying = Dying()

    async def connect(_: SecretStr) -> Dying:
        return dying

    monkeypatch.setattr(postgres_changes, "connect", connect)
    with pytest.raises(StoreUnavailable, match="tells of changes"):
        async with postgres_changes.watch(SecretStr("postgresql://nobody@127.0.0.1/x"), lambda: None, but="me"):
            raise AssertionError("nothing is heard")
    assert dying.terminated
