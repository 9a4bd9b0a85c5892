"""RFC 8693: a caller's token for a narrower one, and what ends it."""

from typing import Any

import jwt
import pytest
from sqlalchemy import update

from ostraka_issuer.accounts.client_changes import ClientChange
from ostraka_issuer.accounts.users import UserChange
from ostraka_issuer.limits import ACTORS_MAX
from ostraka_issuer.oauth.asking import narrowed
from ostraka_issuer.oauth.errors import InvalidScope
from ostraka_issuer.oauth.grants.token_exchange import ACCESS_TOKEN
from ostraka_issuer.store.tables import SESSIONS
from ostraka_schemas.permissions import covered_by_any
from tests.issuer.test_http_token import assert_error
from tests.issuer.world import claims_of

from .scene import KEY, OTHER_KEY, Shop


async def alice(shop: Shop, **more: Any) -> dict[str, Any]:
    return await shop.desk.login("alice", **more)


async def exchanged(shop: Shop, subject: str, name: str = "billing", **fields: Any) -> str:
    answer = await shop.exchange(subject, shop.basic(name), **fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def test_what_it_says(shop: Shop) -> None:
    login = await alice(shop, audience=["ostraka"])
    subject = claims_of(login["access_token"])
    answer = await shop.exchange(login["access_token"], shop.basic(), audience="orders", scope="orders:read")
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope", "issued_token_type"}
    assert (body["issued_token_type"], body["token_type"], body["scope"]) == (ACCESS_TOKEN, "Bearer", "orders:read")
    claims = claims_of(body["access_token"])
    assert {name: claims[name] for name in ("sub", "sid", "auth_time")} == {
        name: subject[name] for name in ("sub", "sid", "auth_time")
    }
    assert (claims["aud"], claims["client_id"], claims["permissions"]) == ("orders", "billing", ["orders:read"])
    assert claims["act"] == {
        "sub": "billing",
        "client_id": "billing",
        "act": {"sub": "ostraka-cli", "client_id": "ostraka-cli"},
    }
    assert claims["exp"] <= subject["exp"]
    assert claims["jti"] != subject["jti"]
    assert "cnf" not in claims
    assert claims["fv"] >= subject["fv"]


async def test_a_client_with_a_key_gets_it_bound(shop: Shop) -> None:
    """RFC 9449 §6.1. And who holds no key, or another, does not free it."""
    subject = (await alice(shop))["access_token"]
    bound = (await shop.exchange(subject, **shop.proof())).json()["access_token"]
    assert claims_of(bound)["cnf"] == {"jkt": KEY.public.thumbprint}
    assert_error(await shop.exchange(bound, shop.basic()), 400, "invalid_request")
    other = shop.proof(shop.assertion(OTHER_KEY))
    assert_error(await shop.exchange(bound, **other), 400, "invalid_request")
    again = (await shop.exchange(bound, scope="orders:read", **shop.proof())).json()["access_token"]
    assert claims_of(again)["act"] == claims_of(bound)["act"], "nobody new acts"


async def test_it_never_allows_more_than_the_old_one(shop: Shop) -> None:
    subject = (await alice(shop))["access_token"]
    assert_error(await shop.exchange(subject, shop.basic(), scope="stock:count"), 400, "invalid_scope")
    narrow = await exchanged(shop, subject, scope="orders:read")
    assert claims_of(await exchanged(shop, narrow, scope="orders:*"))["permissions"] == ["orders:read"]
    assert claims_of(await exchanged(shop, narrow))["permissions"] == ["orders:read"]


async def test_it_ends_with_the_old_one(shop: Shop) -> None:
    subject = (await alice(shop))["access_token"]
    token = await exchanged(shop, subject)
    for _ in range(3):
        token = await exchanged(shop, token)
    assert claims_of(token)["exp"] <= claims_of(subject)["exp"]


async def test_audiences_are_those_of_the_client(shop: Shop) -> None:
    await shop.add("narrow", "client_secret_basic", audiences=["orders"])
    subject = (await alice(shop))["access_token"]
    assert claims_of(await exchanged(shop, subject, "narrow"))["aud"] == "orders"
    assert_error(await shop.exchange(subject, shop.basic("narrow"), audience="ostraka"), 400, "invalid_target")


ENDS = (
    "session",
    "subject",
    "client",
    "first client",
    "everyone",
    "permission",
    "user disabled",
    "logout",
    "refresh reuse",
)


async def cut_off(shop: Shop, how: str, login: dict[str, Any]) -> None:
    issuer = shop.desk.issuer
    user = claims_of(login["access_token"])["sub"]
    match how:
        case "session":
            done: Any = await issuer.revocations.session(login["session_id"])
        case "subject":
            done = await issuer.revocations.subject(user)
        case "client":
            done = await issuer.revocations.client("billing")
        case "first client":
            done = await issuer.revocations.client("ostraka-cli")
        case "everyone":
            done = await issuer.revocations.everyone()
        case "permission":
            done = await issuer.revocations.permission("orders:*")
        case "user disabled":
            done = (await issuer.accounts.change(user, UserChange(disabled=True)))[1]
        case "logout":
            answer = await shop.desk.client.post(
                "/logout", headers={"authorization": f"Bearer {login['access_token']}"}
            )
            await shop.desk.applied(answer)
            return
        case _:
            second = (await shop.desk.refresh(login["refresh_token"])).json()
            await shop.desk.refresh(second["refresh_token"])
            assert_error(await shop.desk.refresh(login["refresh_token"]), 400, "invalid_grant")
            done = await issuer.revocations.token("a later one, to wait for")
    await shop.applied(done)


@pytest.mark.parametrize("how", ENDS)
async def test_whatever_ends_the_old_one_ends_it(shop: Shop, how: str) -> None:
    login = await alice(shop)
    token = await exchanged(shop, login["access_token"])
    twice = (await shop.exchange(token, **shop.proof())).json()["access_token"]
    grants = [await shop.grant(each) for each in (token, twice)]
    assert all(grant is not None and grant.allows("orders:read") for grant in grants)
    await cut_off(shop, how, login)
    for each in (token, twice):
        grant = await shop.grant(each)
        assert grant is None or not grant.allows("orders:read")
    if how != "permission":
        assert_error(await shop.exchange(token, shop.basic()), 400, "invalid_request")
    if how not in ("permission", "client"):
        assert_error(await shop.exchange(login["access_token"], shop.basic()), 400, "invalid_request")


async def test_a_revoked_token_and_what_is_no_token_are_not_exchanged(shop: Shop) -> None:
    subject = (await alice(shop))["access_token"]
    foreign = jwt.encode(claims_of(subject), OTHER_KEY.private, algorithm="EdDSA", headers={"typ": "at+jwt"})
    refresh_token = (await alice(shop))["refresh_token"]
    for bad in ("x", foreign, refresh_token, shop.assertion(), subject + "="):
        answer = await shop.exchange(bad, shop.basic())
        assert_error(answer, 400, "invalid_request")
        assert bad not in answer.text
    await shop.applied(await shop.desk.issuer.revocations.token(claims_of(subject)["jti"]))
    assert_error(await shop.exchange(subject, shop.basic()), 400, "invalid_request")


async def test_what_the_database_knows_counts_before_the_feed_says_it(shop: Shop) -> None:
    login = await alice(shop)
    async with shop.desk.issuer.store.write() as tx:
        await tx.execute(update(SESSIONS).values(ended_at=1.0))
    assert_error(await shop.exchange(login["access_token"], shop.basic()), 400, "invalid_request")


async def test_only_clients_that_prove_themselves_and_have_the_grant(shop: Shop) -> None:
    subject = (await alice(shop))["access_token"]
    assert_error(await shop.exchange(subject), 401, "invalid_client")
    assert_error(await shop.exchange(subject, client_id="ostraka-cli"), 400, "unauthorized_client")
    await shop.clients.change("billing", ClientChange(grant_types=["client_credentials"]))
    assert_error(await shop.exchange(subject, shop.basic()), 400, "unauthorized_client")


@pytest.mark.parametrize(
    "fields",
    [
        {"subject_token": ""},
        {"subject_token_type": ""},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"actor_token": "x"},
        {"actor_token_type": ACCESS_TOKEN},
    ],
    ids=str,
)
async def test_what_is_not_supported_is_said(shop: Shop, fields: dict[str, str]) -> None:
    subject = (await alice(shop))["access_token"]
    assert_error(await shop.exchange(subject, shop.basic(), **fields), 400, "invalid_request")


async def test_a_token_passes_through_few_clients(shop: Shop) -> None:
    token = (await alice(shop))["access_token"]
    for number in range(ACTORS_MAX):
        await shop.add(f"hop-{number}", "client_secret_basic")
        answer = await shop.exchange(token, shop.basic(f"hop-{number}"))
        if number == ACTORS_MAX - 1:
            assert_error(answer, 400, "invalid_request")
        else:
            token = answer.json()["access_token"]
    assert await shop.grant(token) is not None


async def test_an_exchanged_token_logs_nobody_out(shop: Shop) -> None:
    token = await exchanged(shop, (await alice(shop))["access_token"])
    answer = await shop.desk.client.post("/logout", headers={"authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


SIDES = [f"{resource}:{action}" for resource in ("a", "b", "*") for action in ("x", "y", "*")]


@pytest.mark.parametrize("held", SIDES)
@pytest.mark.parametrize("asked", SIDES)
def test_what_is_both_held_and_asked_for(held: str, asked: str) -> None:
    """Every single permission is in the result exactly if it is in both."""
    try:
        both = narrowed([held], [asked])
    except InvalidScope:
        both = ()
    for one in ("a:x", "a:y", "b:x", "b:y", "c:z"):
        assert covered_by_any(both, one) is (covered_by_any([held], one) and covered_by_any([asked], one))


async def test_tokens_are_counted_by_grant(shop: Shop) -> None:
    await exchanged(shop, (await alice(shop))["access_token"])
    await shop.own(shop.basic())
    said = (await shop.desk.client.get("/metrics")).text
    for grant in ("password", "client_credentials", "token_exchange"):
        assert f'ostraka_tokens_issued_total{{grant="{grant}"}} 1.0' in said
