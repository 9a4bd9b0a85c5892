"""What outlives the check at its start ends with the grant, in every web framework."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from ostraka_consumers import Verifier
from ostraka_consumers.integrations._http import App
from tests.support.fake_issuer import FakeIssuer, published

from .connection import Connection, connected
from .driver import Several, on_this_loop, on_this_loop_among_others
from .web import APPS

Then = Callable[[FakeIssuer], Sequence[bytes]]

ENDINGS: dict[str, tuple[str, Then]] = {
    "subject": ("revoked", lambda issuer: [issuer.cut_subject("alice")]),
    "everyone": ("revoked", lambda issuer: [issuer.cut_everyone()]),
    "token": ("revoked", lambda issuer: [issuer.revoke_token("j", issuer.now + 300)]),
    "permission": ("permission_denied", lambda issuer: [issuer.revoke_permission("orders:create")]),
    "key": (
        "key_compromised",
        lambda issuer: [issuer.publish_keys(published(issuer.token_key, now=issuer.now, state="compromised"))],
    ),
}


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture(params=[on_this_loop, on_this_loop_among_others], ids=["one issuer", "several issuers"])
async def verifier(request: pytest.FixtureRequest, issuer: FakeIssuer) -> AsyncIterator[Verifier | Several]:
    async with request.param(issuer) as verifier:
        yield verifier


@pytest.fixture(params=APPS)
def app(request: pytest.FixtureRequest, verifier: Verifier | Several) -> App:
    return APPS[request.param](verifier, ["orders:create"])


def bearer(issuer: FakeIssuer) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {issuer.token(jti='j')}".encode())]


async def until_watched(verifier: Verifier | Several, count: int) -> None:
    async with asyncio.timeout(10):
        while verifier.live != count:
            await asyncio.sleep(0)


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_websocket_is_closed(app: App, issuer: FakeIssuer, verifier: Verifier | Several, ending: str) -> None:
    reason, then = ENDINGS[ending]
    async with connected(app, "/live", bearer(issuer), websocket=True) as connection:
        await connection.until_sent(2)
        await until_watched(verifier, 1)
        for record in then(issuer):
            verifier.deliver(record)
        await connection.until_over()
    assert connection.sent[2:] == [{"type": "websocket.close", "code": 4401, "reason": reason}]
    assert verifier.live == 0


async def test_it_is_to_come_again_if_only_news_are_missing(
    app: App, issuer: FakeIssuer, verifier: Verifier | Several
) -> None:
    async with connected(app, "/live", bearer(issuer), websocket=True) as connection:
        await connection.until_sent(2)
        await until_watched(verifier, 1)
        await verifier.stop()
        await connection.until_over()
    assert connection.sent[2:] == [{"type": "websocket.close", "code": 1013, "reason": "not_ready"}]


async def test_somebody_elses_end_is_not_ours(app: App, issuer: FakeIssuer, verifier: Verifier | Several) -> None:
    async with connected(app, "/live", bearer(issuer), websocket=True) as connection:
        await connection.until_sent(2)
        await until_watched(verifier, 1)
        verifier.deliver(issuer.cut_subject("bob"))
        verifier.deliver(issuer.revoke_permission("orders:read"))
        await asyncio.sleep(0)
        connection.told.put_nowait({"type": "websocket.receive", "text": "still here"})
        assert verifier.live == 1
        assert len(connection.sent) == 2
    assert verifier.live == 0


async def test_events_end(app: App, issuer: FakeIssuer, verifier: Verifier | Several) -> None:
    async with connected(app, "/events", bearer(issuer)) as connection:
        await streaming(connection)
        await until_watched(verifier, 1)
        verifier.deliver(issuer.cut_subject("alice"))
        await connection.until_over()
    assert connection.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert connection.body == b"data: first\n\n"


async def test_a_download_is_never_taken_for_whole(app: App, issuer: FakeIssuer, verifier: Verifier | Several) -> None:
    async with connected(app, "/download", bearer(issuer)) as connection:
        await streaming(connection)
        await until_watched(verifier, 1)
        verifier.deliver(issuer.cut_subject("alice"))
        await connection.until_over()
    assert connection.sent[-1]["more_body"] is True
    assert verifier.live == 0


async def test_a_client_that_goes_leaves_nothing_watched(
    app: App, issuer: FakeIssuer, verifier: Verifier | Several
) -> None:
    async with connected(app, "/live", bearer(issuer), websocket=True) as connection:
        await connection.until_sent(2)
        await until_watched(verifier, 1)
    assert verifier.live == 0


async def test_an_answer_that_is_given_at_once_is_not_watched(
    app: App, issuer: FakeIssuer, verifier: Verifier | Several, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ostraka_consumers import Grant

    def never(_grant: Grant) -> None:
        raise AssertionError

    monkeypatch.setattr(Grant, "ended", never)
    async with connected(app, "/orders", bearer(issuer)) as connection:
        await connection.until_over()
    assert connection.sent[0]["status"] == 200


async def test_a_cancellation_from_outside_stays_one(
    app: App, issuer: FakeIssuer, verifier: Verifier | Several
) -> None:
    async with connected(app, "/live", bearer(issuer), websocket=True) as connection:
        await connection.until_sent(2)
        assert connection.finished is not None
        connection.finished.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connection.until_over()
        assert connection.finished.cancelled()
    assert len(connection.sent) == 2
    assert verifier.live == 0


async def streaming(connection: Connection) -> None:
    async with asyncio.timeout(10):
        while b"first" not in connection.body:
            await connection.until_sent(len(connection.sent) + 1)
