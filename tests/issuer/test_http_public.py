"""Health, key set, metadata."""

from pathlib import Path
from typing import Any

import jwt
import pytest

from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.http.bounds import BodyBound
from ostraka_issuer.oauth.metadata import server_metadata
from ostraka_issuer.store import Store
from tests.issuer.front import Desk, open_desk
from tests.issuer.test_http_login import assert_problem
from tests.issuer.world import kid_of


async def test_alive(desk: Desk) -> None:
    assert (await desk.client.get("/healthz")).json() == {"status": "alive"}


@pytest.mark.parametrize(
    "path",
    [
        "/healthz",
        "/readyz",
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ],
)
async def test_head_is_answered_where_get_is(desk: Desk, path: str) -> None:
    """RFC 9110 §9.3.2: with the same header fields; what serves leaves the body out."""
    got, head = await desk.client.get(path), await desk.client.head(path)
    assert (head.status_code, head.headers["content-type"]) == (got.status_code, got.headers["content-type"])
    assert head.headers.get("etag") == got.headers.get("etag")


async def test_ready_without_a_broker_and_says_so(desk: Desk) -> None:
    answer = await desk.client.get("/readyz")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["ready"], body["reasons"]) == (True, [])
    assert body["verifier"]["freshness"] == "fresh"
    assert body["feed"]["broker"] == "away"
    assert body["feed"]["unpublished"] == 2


async def test_not_ready_without_a_database(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: Store) -> None:
        raise StoreUnavailable("the database did not do it: disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "read", broken)
        answer = await desk.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert "disk I/O error" in answer.json()["reasons"][0]


async def test_not_ready_when_the_feed_or_the_keeper_has_ended(desk: Desk) -> None:
    await desk.issuer.keeper.stop()
    reasons = (await desk.client.get("/readyz")).json()["reasons"]
    assert any(reason.startswith("token keys") for reason in reasons)
    await desk.issuer.feed.stop()
    answer = await desk.client.get("/readyz")
    assert answer.status_code == 503
    assert any(reason.startswith("feed") for reason in answer.json()["reasons"])


async def test_the_key_set_verifies_our_tokens_elsewhere(desk: Desk) -> None:
    """With a library that knows nothing of Ostraka."""
    token = (await desk.login("alice", audience=["orders"]))["access_token"]
    answer = await desk.client.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    keys = {key["kid"]: key for key in answer.json()["keys"]}
    claims = jwt.decode(token, jwt.PyJWK(keys[kid_of(token)]), algorithms=["ES256"], audience="orders")
    assert claims["iss"] == desk.issuer.settings.issuer
    assert all(set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"} for key in keys.values())


async def test_the_key_set_shows_successors_and_hides_compromised_keys(desk: Desk) -> None:
    (first,) = (await desk.client.get("/.well-known/jwks.json")).json()["keys"]
    successor = await desk.issuer.keys.rotate(lead=3_600)
    kids = {key["kid"] for key in (await desk.client.get("/.well-known/jwks.json")).json()["keys"]}
    assert kids == {first["kid"], successor.kid}
    change = await desk.issuer.keys.compromise(first["kid"])
    assert change.successor is not None
    kids = {key["kid"] for key in (await desk.client.get("/.well-known/jwks.json")).json()["keys"]}
    assert kids == {change.successor.kid, successor.kid}


async def test_metadata(desk: Desk) -> None:
    """RFC 8414 §2."""
    answer = await desk.client.get("/.well-known/oauth-authorization-server")
    body = answer.json()
    assert body["issuer"] == desk.issuer.settings.issuer
    assert body["jwks_uri"] == f"{body['issuer']}/.well-known/jwks.json"
    assert body["token_endpoint"] == f"{body['issuer']}/token"
    assert body["grant_types_supported"] == [
        "refresh_token",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ]
    for endpoint in ("token", "revocation", "introspection"):
        url = body[f"{endpoint}_endpoint"]
        answer = await desk.client.post(url.removeprefix(body["issuer"]))
        assert answer.status_code in (400, 401), f"there is no door at {url}"
    assert body["response_types_supported"] == []
    assert_problem(await desk.client.get("/.well-known/oauth-authorization-server/other"), 404, "not_found")


async def test_openid_discovery_says_the_same_and_promises_nothing_else(desk: Desk) -> None:
    answer = await desk.client.get("/.well-known/openid-configuration")
    body = answer.json()
    metadata = (await desk.client.get("/.well-known/oauth-authorization-server")).json()
    assert {name: body[name] for name in metadata} == metadata
    assert body["id_token_signing_alg_values_supported"] == ["ES256"]
    assert not {"authorization_endpoint", "userinfo_endpoint"} & set(body)


@pytest.mark.parametrize("name", ["jwks.json", "oauth-authorization-server", "openid-configuration"])
async def test_public_documents_are_sent_once(desk: Desk, name: str) -> None:
    """RFC 9110 §13.1.2."""
    url = f"/.well-known/{name}"
    first = await desk.client.get(url)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "public, max-age=300"
    for known in (tag, f'"other", W/{tag}', "*"):
        again = await desk.client.get(url, headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["etag"], again.headers["cache-control"]) == (tag, "public, max-age=300")
    for unknown in ('"other"', "", tag.strip('"')):
        assert (await desk.client.get(url, headers={"if-none-match": unknown})).status_code == 200


async def test_another_key_is_another_entity_tag(desk: Desk) -> None:
    first = await desk.client.get("/.well-known/jwks.json")
    await desk.issuer.keys.rotate(lead=3_600)
    again = await desk.client.get("/.well-known/jwks.json", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, len(again.json()["keys"])) == (200, 2)


async def test_metadata_of_an_issuer_with_a_path(tmp_path: Path) -> None:
    """RFC 8414 §3.1."""
    async with open_desk(tmp_path, issuer="https://id.example/tenant") as desk:
        answer = await desk.client.get("/.well-known/oauth-authorization-server/tenant")
        assert answer.json() == server_metadata("https://id.example/tenant")


async def test_the_api_is_described_and_loads_nothing_from_elsewhere(desk: Desk) -> None:
    described = (await desk.client.get("/openapi.json")).json()
    assert {"/login", "/token", "/admin/revocations", "/admin/keys", "/readyz"} <= set(described["paths"])
    assert (await desk.client.get("/docs")).status_code == 404


async def test_a_body_that_does_not_arrive_is_given_up() -> None:
    import asyncio

    sent: list[Any] = []

    async def never(*_args: Any) -> None:
        raise AssertionError("the application must not be called")

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await BodyBound(never, seconds=0.01)({"type": "http", "method": "POST", "headers": []}, receive, send)
    assert sent[0]["status"] == 408


async def test_a_client_that_goes_away_is_no_request() -> None:
    async def never(*_args: Any) -> None:
        raise AssertionError("the application must not be called")

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    await BodyBound(never)({"type": "http", "method": "POST", "headers": []}, receive, never)
