import asyncio
from typing import Any

import httpx
import pytest

from ostraka_issuer.accounts.passwords import Passwords
from ostraka_issuer.errors import HashingBusy, KeyStoreError, StoreUnavailable
from ostraka_issuer.store import Store
from tests.issuer.front import Desk
from tests.issuer.world import PASSWORD, claims_of


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"urn:ostraka:problem:{code}"
    assert body["title"]
    assert body["detail"]


async def test_a_login_gives_a_token_that_verifies(desk: Desk) -> None:
    answer = await desk.client.post("/login", json={"username": "alice", "password": PASSWORD})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "refresh_token", "session_id"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 300)
    grant = desk.issuer.verifier.verify(body["access_token"])
    assert grant.permissions == ("orders:create", "orders:read")
    assert grant.session_id == body["session_id"]


async def test_every_401_has_a_challenge(desk: Desk) -> None:
    """RFC 9110 §11.6.1."""
    wrong = {"username": "alice", "password": "not the password"}
    answer = await desk.client.post("/login", json=wrong)
    assert_problem(answer, 401, "login_refused")
    assert answer.headers["www-authenticate"] == 'Login realm="ostraka"'
    client = {"authorization": httpx.BasicAuth("nobody", "x")._auth_header}
    answer = await desk.client.post("/login", json={**wrong, "client_id": "nobody"}, headers=client)
    assert_problem(answer, 401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


async def test_client_and_audience_can_be_chosen(desk: Desk) -> None:
    await desk.register("shop")
    body = await desk.login("alice", client_id="shop", audience=["orders"])
    claims = claims_of(body["access_token"])
    assert (claims["client_id"], claims["aud"]) == ("shop", "orders")
    answer = await desk.client.post(
        "/login", json={"username": "alice", "password": PASSWORD, "audience": ["elsewhere"]}
    )
    assert_problem(answer, 400, "bad_request")


@pytest.mark.parametrize(("username", "password"), [("alice", "wrong-password"), ("nobody", PASSWORD), ("alice", "")])
async def test_a_wrong_password_is_401_and_not_repeated(desk: Desk, username: str, password: str) -> None:
    answer = await desk.client.post("/login", json={"username": username, "password": password})
    assert_problem(answer, 401, "login_refused")
    assert not password or password not in answer.text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"alice"',
        b'{"username":"alice"}',
        b'{"username":"alice","password":12345678901}',
        b'{"username":"alice","password":"s3cret-value","password":"s3cret-value"}',
        b'{"username":"alice","password":"s3cret-value","x":NaN}',
        b'{"username":["alice"],"password":"s3cret-value"}',
        b'{"username":"","password":"s3cret-value"}',
        b'{"username":"alice","password":"s3cret-value","audience":"s3cret-value"}',
        b'{"username":"alice","password":"s3cret-value","client_id":""}',
        b'{"username":"\\ud800","password":"s3cret-value"}',
        b'{"username":"alice","password":"\\ud800s3cret-value"}',
        b'{"username":"' + b"x" * 300 + b'","password":"s3cret-value"}',
        '{"username":"alice","password":"s3cret-value"}'.encode("utf-16"),
        b'{"username":"alice","password":"s3cret-value\xff"}',
        b"[" * 5_000,
    ],
)
async def test_a_malformed_request_is_refused_without_being_repeated(desk: Desk, content: bytes) -> None:
    answer = await desk.client.post("/login", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "s3cret" not in answer.text
    assert "12345678901" not in answer.text


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b'{"username":"alice",\n "password":s3cret}', "the body: not JSON in UTF-8: line 2, column 13"),
        (b'{"username":"alice","username":"alice"}', "the body: a JSON object has the same name twice"),
        (b"[]", "the body: not a JSON object"),
    ],
    ids=["spelling", "twice", "list"],
)
async def test_a_body_that_cannot_be_read_is_refused_with_the_place(desk: Desk, content: bytes, detail: str) -> None:
    answer = await desk.client.post("/login", content=content, headers={"content-type": "application/json"})
    assert_problem(answer, 400, "bad_request")
    assert answer.json()["detail"] == detail


async def test_too_large_a_body_is_refused(desk: Desk) -> None:
    async def stream() -> Any:
        for _ in range(40):
            yield b"x" * 1_000

    assert_problem(await desk.client.post("/login", content=b"x" * 16_385), 413, "too_large")
    assert_problem(await desk.client.post("/login", content=stream()), 413, "too_large")
    assert (await desk.client.post("/login", content=b" " * 16_384)).status_code in (400, 422)


async def test_too_many_logins_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_self: Passwords, _stored: str | None, _password: str) -> bool:
        raise HashingBusy("too many logins at once; try again")

    monkeypatch.setattr(Passwords, "check", full)
    answer = await desk.client.post("/login", json={"username": "alice", "password": PASSWORD})
    assert_problem(answer, 429, "too_many_logins")
    assert answer.headers["retry-after"] == "1"


async def test_a_flood_of_logins_is_bounded_and_nobody_else_suffers(desk: Desk) -> None:
    async def one(name: str) -> int:
        return (await desk.client.post("/login", json={"username": name, "password": PASSWORD})).status_code

    names = [f"person-{number}" for number in range(25)]  # of one account, five may be under way at once
    for name in names:
        await desk.issuer.accounts.add_user(name, PASSWORD)
    statuses = await asyncio.gather(*(one(name) for name in names * 4))
    assert set(statuses) <= {200, 429}
    assert statuses.count(200) >= 34
    assert await one("alice") == 200


async def test_a_database_that_does_not_answer_is_503(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(_self: Store) -> None:
        raise StoreUnavailable("the database did not do it: locked")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", busy)
        answer = await desk.client.post("/login", json={"username": "alice", "password": PASSWORD})
    assert_problem(answer, 503, "store_unavailable")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("error", [KeyStoreError("cannot read /secret/place"), RuntimeError("/secret/place")])
async def test_our_own_faults_are_500_without_details(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def broken(*_args: object) -> None:
        raise error

    monkeypatch.setattr(desk.issuer.keys, "private", broken)
    answer = await desk.client.post("/login", json={"username": "alice", "password": PASSWORD})
    assert_problem(answer, 500, "internal")
    assert "secret" not in answer.text


async def test_unknown_paths_and_methods_are_problems_too(desk: Desk) -> None:
    assert_problem(await desk.client.get("/nowhere"), 404, "not_found")
    assert_problem(await desk.client.get("/login"), 405, "method_not_allowed")
