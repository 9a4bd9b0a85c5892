"""How clients prove who they are (RFC 6749 §2.3, RFC 7523), at the token endpoint."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from ostraka_issuer.accounts.client_changes import ClientChange
from ostraka_issuer.limits import ASSERTION_LIFETIME_MAX
from ostraka_issuer.oauth.client_auth import read_basic
from ostraka_issuer.oauth.errors import InvalidClient
from ostraka_issuer.store.tables import CLIENT_ASSERTIONS
from tests.issuer.test_http_token import assert_error
from tests.issuer.world import PASSWORD

from .scene import OTHER_KEY, Shop


async def test_by_secret(shop: Shop) -> None:
    assert (await shop.own(shop.basic())).status_code == 200
    assert (await shop.own(shop.basic(), client_id="billing")).status_code == 200


async def test_by_key(shop: Shop) -> None:
    for raw in (shop.assertion(), shop.assertion(OTHER_KEY), shop.assertion(aud=shop.issuer_url + "/token")):
        assert (await shop.own(**shop.proof(raw))).status_code == 200


def refused(answer: Any) -> None:
    assert_error(answer, 401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


async def test_every_failure_is_one_and_the_same(shop: Shop) -> None:
    secret = shop.secrets["billing"]
    texts = set()
    for name, said in (
        ("billing", "wrong"),
        ("nobody", secret),
        ("relay", secret),
        ("ostraka-cli", ""),
        ("\u202e", "x"),
    ):
        answer = await shop.own(shop.basic(name, said))
        refused(answer)
        texts.add(answer.json()["error_description"])
    await shop.clients.change("billing", ClientChange(disabled=True))
    answer = await shop.own(shop.basic())
    refused(answer)
    texts.add(answer.json()["error_description"])
    assert len(texts) == 1


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ",
        "Basic %%%",
        "Basic YQ==",
        "Basic OmI=",
        "Basic /w==",
        "Bearer x",
        "Digest x",
        "Basic " + "QQ" * 4_000,
    ],
)
async def test_a_header_that_is_none(shop: Shop, header: str) -> None:
    refused(await shop.own({"authorization": header}))
    with pytest.raises(InvalidClient):
        read_basic(header)


def test_id_and_secret_are_form_encoded_before_they_are_joined() -> None:
    """RFC 6749 §2.3.1: a colon or a space in them is no separator."""
    assert read_basic("basic YSUzQWIrYzpkJTIwZQ==") == ("a:b c", "d e")


async def test_one_way_at_a_time_and_only_the_clients_own(shop: Shop) -> None:
    assert_error(await shop.own(shop.basic(), **shop.proof()), 400, "invalid_request")
    refused(await shop.own(client_id="billing", client_secret=shop.secrets["billing"]))
    refused(await shop.own(client_id="billing"))
    refused(await shop.own(client_id="relay"))
    refused(await shop.own())
    refused(await shop.own(shop.basic(), client_id="relay"))
    refused(await shop.own(**shop.proof(), client_id="billing"))
    refused(await shop.own(**shop.proof(shop.assertion(iss="billing", sub="billing"))))
    wrong_type = {**shop.proof(), "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}
    assert_error(await shop.own(**wrong_type), 400, "invalid_request")


async def test_an_assertion_works_once_however_many_try(shop: Shop) -> None:
    """RFC 7523 §3 (7)."""
    proof = shop.proof()
    answers = await asyncio.gather(*(shop.own(**proof) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 9
    refused(await shop.own(**proof))


async def test_what_was_used_is_remembered_until_it_has_ended(shop: Shop) -> None:
    now = int(shop.desk.issuer.clock.now().wall)
    ended = [{"client_id": "relay", "jti": f"old {number}", "exp": float(now - 60)} for number in range(5)]
    async with shop.desk.issuer.store.write() as tx:
        await tx.execute(CLIENT_ASSERTIONS.insert(), ended)
    assert (await shop.own(**shop.proof(shop.assertion(jti="new", exp=now + 50)))).status_code == 200
    async with shop.desk.issuer.store.read() as tx:
        kept = (await tx.execute(select(CLIENT_ASSERTIONS.c.jti))).scalars().all()
    assert kept == ["new"]


@pytest.mark.parametrize("seconds", [0, -1, ASSERTION_LIFETIME_MAX + 20])
async def test_an_end_that_is_past_or_too_far(shop: Shop, seconds: int) -> None:
    refused(await shop.own(**shop.proof(shop.assertion(exp=int(shop.desk.issuer.clock.now().wall) + seconds))))


async def test_another_secret_and_another_key_end_the_old_ones(shop: Shop) -> None:
    old = shop.basic()
    secret, _ = await shop.clients.rotate_secret("billing")
    refused(await shop.own(old))
    assert (await shop.own(shop.basic(secret=secret))).status_code == 200
    await shop.clients.change("relay", ClientChange(jwks={"keys": [OTHER_KEY.public.to_jwk()]}))
    refused(await shop.own(**shop.proof()))
    assert (await shop.own(**shop.proof(shop.assertion(OTHER_KEY)))).status_code == 200


async def test_a_secret_never_comes_back_in_an_answer(shop: Shop) -> None:
    secret = shop.secrets["billing"]
    for answer in (
        await shop.own(shop.basic("relay", secret)),
        await shop.own(client_id="billing", client_secret=secret),
        await shop.own(scope=secret),
    ):
        assert secret not in answer.text


async def test_a_login_for_a_client_with_a_secret_needs_it(shop: Shop) -> None:
    body = {"username": "alice", "password": PASSWORD, "client_id": "billing"}
    answer = await shop.desk.client.post("/login", json=body)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_client")
    answer = await shop.desk.client.post("/login", json=body, headers=shop.basic())
    assert answer.status_code == 200
    token = answer.json()["refresh_token"]
    # RFC 6749 §6: whoever has a secret refreshes with it.
    refused(await shop.desk.refresh(token))
    refused(await shop.desk.refresh(token, client_id="billing"))
    again = await shop.token(shop.basic(), grant_type="refresh_token", refresh_token=token)
    assert again.status_code == 200
    assert_error(
        await shop.token(grant_type="refresh_token", refresh_token=token, **shop.proof()), 400, "invalid_grant"
    )
