"""``client_credentials``: a token for the client itself."""

from typing import Any

import pytest

from ostraka_issuer.accounts.client_changes import ClientChange
from tests.issuer.test_http_token import assert_error
from tests.issuer.world import claims_of

from .scene import Shop


async def test_what_it_says(shop: Shop) -> None:
    answer = await shop.own(shop.basic())
    body = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}, "no refresh token (RFC 6749 §4.4.3)"
    claims = claims_of(body["access_token"])
    assert (claims["sub"], claims["client_id"]) == ("billing", "billing")
    assert claims["aud"] == ["orders", "ostraka"]
    assert claims["permissions"] == ["orders:read", "stock:*"]
    assert body["scope"] == "orders:read stock:*"
    assert not {"sid", "auth_time", "act", "cnf"} & set(claims)
    assert body["expires_in"] == claims["exp"] - claims["iat"] == 300
    grant = await shop.grant(body["access_token"])
    assert grant is not None
    assert grant.allows("stock:count")


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ({"scope": "stock:count"}, ["stock:count"]),
        ({"permissions": "orders:* stock:count"}, ["orders:read", "stock:count"]),
        ({"scope": "*:*"}, ["orders:read", "stock:*"]),
        ({"scope": "*:read"}, ["orders:read", "stock:read"]),
        ({"scope": ""}, ["orders:read", "stock:*"]),
    ],
    ids=str,
)
async def test_it_may_ask_for_less(shop: Shop, asked: dict[str, str], got: list[str]) -> None:
    body = (await shop.own(shop.basic(), audience="orders", **asked)).json()
    claims = claims_of(body["access_token"])
    assert (claims["aud"], claims["permissions"], body["scope"]) == ("orders", got, " ".join(got))


async def test_a_scope_of_nothing_is_left_out(shop: Shop) -> None:
    """RFC 6749 §3.3: a scope has one token at least."""
    await shop.add("idle", "client_secret_basic", permissions=())
    body = (await shop.own(shop.basic("idle"))).json()
    assert (claims_of(body["access_token"])["permissions"], "scope" in body) == ([], False)


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"scope": "orders:create"}, "invalid_scope"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": "orders:read  stock:count"}, "invalid_scope"),
        ({"scope": " ".join(f"a:{n}" for n in range(300))}, "invalid_scope"),
        ({"scope": "orders:read", "permissions": "orders:read"}, "invalid_request"),
        ({"audience": "elsewhere"}, "invalid_target"),
        ({"audience": ["orders", "elsewhere"]}, "invalid_target"),
        ({"resource": "https://orders.example"}, "invalid_target"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_it_may_not_ask_for_more(shop: Shop, asked: dict[str, Any], error: str) -> None:
    assert_error(await shop.own(shop.basic(), **asked), 400, error)


async def test_only_clients_that_have_the_grant(shop: Shop) -> None:
    await shop.add("web", "client_secret_basic", grant_types=["password", "refresh_token"])
    assert_error(await shop.own(shop.basic("web")), 400, "unauthorized_client")
    assert_error(await shop.own(client_id="ostraka-cli"), 400, "unauthorized_client")


async def test_a_client_without_audiences_asks_for_nothing(shop: Shop) -> None:
    await shop.add("lost", "client_secret_basic", audiences=[])
    assert_error(await shop.own(shop.basic("lost")), 400, "invalid_target")


async def test_a_client_that_is_cut_off_gets_nothing_and_keeps_nothing(shop: Shop) -> None:
    token = (await shop.own(shop.basic())).json()["access_token"]
    _, change = await shop.clients.change("billing", ClientChange(disabled=True))
    assert_error(await shop.own(shop.basic()), 401, "invalid_client")
    await shop.applied(change)
    assert await shop.grant(token) is None
