"""The ASGI middleware: what it lets by unasked, and what it says without itself."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ostraka_consumers import ConfigurationError, Verifier
from ostraka_consumers.integrations._http import Receive, Scope, Send
from ostraka_consumers.integrations.asgi import OstrakaMiddleware, grant_of
from tests.support.fake_issuer import FakeIssuer
from tests.support.verifiers import ready_verifier

from .contract.connection import connected


@pytest.fixture
async def verifier() -> AsyncIterator[Verifier]:
    verifier = await ready_verifier(FakeIssuer())
    yield verifier
    await verifier.stop()


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


async def test_what_anybody_may_have(verifier: Verifier) -> None:
    app = OstrakaMiddleware(hello, verifier, unguarded=lambda scope: scope["path"] == "/health")
    async with connected(app, "/health") as open_to_all, connected(app, "/orders") as guarded:
        await open_to_all.until_over()
        await guarded.until_over()
    assert (open_to_all.sent[0]["status"], open_to_all.body) == (200, b"/health")
    assert guarded.sent[0]["status"] == 401


async def test_the_life_of_the_application_is_let_by(verifier: Verifier) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing(*_args: Any) -> Any: ...

    await OstrakaMiddleware(app, verifier)({"type": "lifespan"}, nothing, nothing)
    assert seen == ["lifespan"]


def test_without_the_middleware_there_is_no_grant() -> None:
    with pytest.raises(ConfigurationError, match="OstrakaMiddleware"):
        grant_of({"type": "http"})


async def test_a_grant_that_cannot_be_watched_ends_the_connection(verifier: Verifier) -> None:
    from ostraka_consumers import Grant
    from ostraka_consumers.integrations._live import Live

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    class Unwatchable:
        async def ended(self) -> None:
            raise ConfigurationError("another loop")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await receive()

    async def never() -> Any:
        import asyncio

        await asyncio.Event().wait()

    grant: Grant = Unwatchable()  # type: ignore[assignment]
    live = Live({"type": "websocket"}, send)
    live.watch(grant, None)
    with pytest.raises(ConfigurationError, match="another loop"):
        await live.run(app, never)
    assert sent == [{"type": "websocket.accept"}]
