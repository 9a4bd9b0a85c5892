import asyncio

import httpx
import pytest
from sqlalchemy import select

from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.oauth.server import AuthorizationServer
from ostraka_issuer.store import Store
from ostraka_issuer.store.tables import SESSIONS
from tests.issuer.front import Desk
from tests.issuer.world import claims_of

FORM = "application/x-www-form-urlencoded"


def assert_error(answer: httpx.Response, status: int, error: str) -> None:
    """RFC 6749 §5.2."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    body = answer.json()
    assert set(body) == {"error", "error_description"}
    assert body["error"] == error
    assert all(" " <= char <= "~" and char not in '"\\' for char in body["error_description"])


async def test_a_refresh_gives_the_next_pair(desk: Desk) -> None:
    first = await desk.login("alice")
    answer = await desk.refresh(first["refresh_token"], client_id="ostraka-cli")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "refresh_token", "session_id"}
    assert body["session_id"] == first["session_id"]
    assert body["refresh_token"] != first["refresh_token"]
    assert desk.issuer.verifier.verify(body["access_token"]).allows("orders:create")


async def test_a_refresh_for_less(desk: Desk) -> None:
    """RFC 6749 §6: the token may do less; what the next may do is not less for that."""
    first = await desk.login("alice")
    answer = await desk.refresh(first["refresh_token"], scope="orders:read")
    assert (answer.status_code, answer.json()["scope"]) == (200, "orders:read")
    assert claims_of(answer.json()["access_token"])["permissions"] == ["orders:read"]
    more = (await desk.refresh(answer.json()["refresh_token"])).json()
    assert claims_of(more["access_token"])["permissions"] == ["orders:create", "orders:read"]
    assert "scope" not in more


@pytest.mark.parametrize("scope", ["zzz:a", "orders:read zzz:a", "orders:*", "nonsense"])
async def test_a_refresh_for_what_was_not_granted(desk: Desk, scope: str) -> None:
    first = await desk.login("alice")
    assert_error(await desk.refresh(first["refresh_token"], scope=scope), 400, "invalid_scope")
    async with desk.issuer.store.read() as tx:
        session = select(SESSIONS.c.generation).where(SESSIONS.c.id == first["session_id"])
        assert (await tx.execute(session)).scalar_one() == 1, "nothing is used up"
    again = await desk.refresh(first["refresh_token"])
    assert claims_of(again.json()["access_token"])["permissions"] == ["orders:create", "orders:read"]


async def test_a_hundred_at_once(desk: Desk) -> None:
    first = await desk.login("alice")
    answers = await asyncio.gather(*(desk.refresh(first["refresh_token"]) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def test_reuse_ends_the_session_everywhere(desk: Desk) -> None:
    first = await desk.login("alice")
    second = (await desk.refresh(first["refresh_token"])).json()
    third = (await desk.refresh(second["refresh_token"])).json()
    assert_error(await desk.refresh(first["refresh_token"]), 400, "invalid_grant")
    assert_error(await desk.refresh(third["refresh_token"]), 400, "invalid_grant")
    listing = await desk.client.get("/admin/revocations", headers=await desk.bearer())
    (entry,) = listing.json()["revocations"]
    assert (entry["kind"], entry["target"]) == ("session", first["session_id"])
    async with asyncio.timeout(10):
        while True:
            answer = await desk.client.get(
                "/admin/revocations", headers={"authorization": f"Bearer {third['access_token']}"}
            )
            if answer.json()["code"] == "revoked":
                break
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("token", ["x", "a" * 70, "%00" * 10, "eyJhbGciOi.s3cret.x"])
async def test_a_foreign_refresh_token(desk: Desk, token: str) -> None:
    answer = await desk.refresh(token)
    assert_error(answer, 400, "invalid_grant")
    assert token not in answer.text


async def test_an_access_token_is_no_refresh_token(desk: Desk) -> None:
    assert_error(await desk.refresh((await desk.login("alice"))["access_token"]), 400, "invalid_grant")


async def test_another_client(desk: Desk) -> None:
    first = await desk.login("alice")
    assert_error(await desk.refresh(first["refresh_token"], client_id="thief"), 400, "invalid_grant")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "invalid_request"),
        (b"grant_type=&refresh_token=s3cret", "invalid_request"),
        (b"grant_type=password&username=a&password=s3cret", "unsupported_grant_type"),
        (b"grant_type=refresh_token", "invalid_request"),
        (b"grant_type=refresh_token&refresh_token=", "invalid_request"),
        (b"grant_type=refresh_token&refresh_token=s3cret&refresh_token=s3cret", "invalid_request"),
        (b"grant_type=refresh_token&grant_type=refresh_token&refresh_token=s3cret", "invalid_request"),
        (b"s3cret", "invalid_request"),
        (b"grant_type=refresh_token&refresh_token=%ff", "invalid_request"),
        (b"grant_type=refresh_token&refresh_token=\xff", "invalid_request"),
        (b"&".join(b"s3cret%d=1" % n for n in range(50)), "invalid_request"),
        (b'{"grant_type":"refresh_token"}', "invalid_request"),
    ],
)
async def test_a_malformed_request(desk: Desk, content: bytes, error: str) -> None:
    answer = await desk.client.post("/token", content=content, headers={"content-type": FORM})
    assert_error(answer, 400, error)
    assert "s3cret" not in answer.text


@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data; boundary=x", ""])
async def test_another_media_type(desk: Desk, media_type: str) -> None:
    answer = await desk.client.post("/token", content=b"grant_type=refresh_token", headers={"content-type": media_type})
    assert_error(answer, 400, "invalid_request")


@pytest.mark.parametrize("how", ["ask", "apply"])
async def test_a_database_that_does_not_answer(desk: Desk, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    first = await desk.login("alice")

    def busy(_self: Store, _statement: object, _values: object) -> None:
        raise StoreUnavailable("the database did not do it: /secret/place")

    with monkeypatch.context() as patch:
        patch.setattr(Store, how, busy)
        answer = await desk.refresh(first["refresh_token"])
    assert_error(answer, 503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert "secret" not in answer.text
    assert (await desk.refresh(first["refresh_token"])).status_code == 200


async def test_a_door_that_is_opened_directly_is_still_a_route(desk: Desk) -> None:
    """By another method it is refused as any other, and behind a prefix the router finds it."""
    answer = await desk.client.get("/token")
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
    login = await desk.login("alice")
    behind = httpx.ASGITransport(app=desk.app, root_path="/auth")
    async with httpx.AsyncClient(transport=behind, base_url=str(desk.client.base_url)) as client:
        fields = {"grant_type": "refresh_token", "refresh_token": login["refresh_token"]}
        assert (await client.post("/auth/token", data=fields)).status_code == 200


async def test_a_mistake_behind_a_direct_door_is_a_problem(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("secret")

    login = await desk.login("alice")
    monkeypatch.setattr(AuthorizationServer, "token", broken)
    transport = httpx.ASGITransport(app=desk.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=str(desk.client.base_url)) as client:
        fields = {"grant_type": "refresh_token", "refresh_token": login["refresh_token"]}
        answer = await client.post("/token", data=fields)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in answer.text
