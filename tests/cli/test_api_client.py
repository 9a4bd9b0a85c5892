"""The client: answers of an issuer, of something else, and none at all."""

import httpx
import pytest

from ostraka_issuer.api_client import ApiClient, IssuerRefused, IssuerUnreachable, Tokens
from ostraka_issuer.desk.ports import find_free_port


def client(answer: httpx.Response) -> ApiClient:
    api = ApiClient("http://issuer.test")
    api._http = httpx.AsyncClient(base_url=api.url, transport=httpx.MockTransport(lambda request: answer))
    return api


async def test_nobody_there() -> None:
    async with ApiClient(f"http://127.0.0.1:{find_free_port()}") as api:
        with pytest.raises(IssuerUnreachable, match="is it running"):
            await api.login("alice", "password")
        assert not await api.is_ready()


async def test_no_url_at_all() -> None:
    async with ApiClient("http://[") as api:
        with pytest.raises(IssuerUnreachable):
            await api.keys("token")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"access_token": 1}'])
async def test_an_answer_of_something_else(body: bytes) -> None:
    async with client(httpx.Response(200, content=body)) as api:
        with pytest.raises(IssuerRefused, match="no answer of an issuer"):
            await api.login("alice", "password")
    async with client(httpx.Response(200, content=body)) as api:
        with pytest.raises(IssuerRefused, match="no answer of an issuer"):
            await api.revoke("token", {"kind": "all"})


@pytest.mark.parametrize(
    ("answer", "message", "denial"),
    [
        (httpx.Response(401, json={"code": "revoked", "detail": "cut off"}), r"^cut off \(401\)$", True),
        (httpx.Response(404, json={"detail": "no such user"}), r"^no such user \(404\)$", False),
        (httpx.Response(400, json={"error": "invalid_grant"}), r"^invalid_grant \(400\)$", True),
        (httpx.Response(502, content=b"<html>"), r"^Bad Gateway \(502\)$", False),
    ],
)
async def test_refusals_say_why(answer: httpx.Response, message: str, denial: bool) -> None:
    async with client(answer) as api:
        with pytest.raises(IssuerRefused, match=message) as error:
            await api.keys("token")
    assert error.value.is_denial is denial


async def test_committed_without_a_place_yet() -> None:
    body = {"txn": "t", "epoch": None, "seq": None, "published": False, "committed_at": 12.5, "sessions_ended": 2}
    async with client(httpx.Response(202, json=body)) as api:
        done = await api.revoke("token", {"kind": "all"})
    assert (done.txn, done.seq, done.committed_at, done.rest) == ("t", None, 12.5, {"sessions_ended": 2})


def test_tokens_do_not_show_themselves() -> None:
    assert "secret" not in repr(Tokens("secret-access", "secret-refresh", 300, "sid"))
