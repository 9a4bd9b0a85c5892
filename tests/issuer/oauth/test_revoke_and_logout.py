"""``/revoke`` (RFC 7009) and ``/logout``: what they end, for whom, and that verifiers hear of it."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from ostraka_issuer.accounts.client_changes import ClientChange
from ostraka_issuer.store.intents import list_intents
from ostraka_issuer.store.tables import AUDIT
from tests.issuer.test_http_login import assert_problem
from tests.issuer.test_http_token import assert_error

from .scene import Shop

CLI = {"client_id": "ostraka-cli"}


async def revoke(shop: Shop, token: str, headers: dict[str, str] | None = None, /, **fields: str) -> Any:
    return await shop.desk.client.post("/revoke", data={"token": token, **fields}, headers=headers or {})


async def gone(shop: Shop, token: str) -> bool:
    """Whether the verifier refuses it soon."""
    async with asyncio.timeout(10):
        while await shop.grant(token) is not None:
            await asyncio.sleep(0.005)
    return True


async def intents(shop: Shop) -> int:
    async with shop.desk.issuer.store.read() as tx:
        return len(await list_intents(tx, limit=200))


@pytest.mark.parametrize("hint", [{}, {"token_type_hint": "refresh_token"}, {"token_type_hint": "nonsense"}])
async def test_a_refresh_token_takes_its_session_with_it(shop: Shop, hint: dict[str, str]) -> None:
    login = await shop.desk.login("alice")
    answer = await revoke(shop, login["refresh_token"], **CLI, **hint)
    assert (answer.status_code, answer.json(), answer.headers["cache-control"]) == (200, {}, "no-store")
    assert_error(await shop.desk.refresh(login["refresh_token"]), 400, "invalid_grant")
    assert await gone(shop, login["access_token"])


async def test_also_one_that_was_used_before(shop: Shop) -> None:
    login = await shop.desk.login("alice")
    second = (await shop.desk.refresh(login["refresh_token"])).json()
    assert (await revoke(shop, login["refresh_token"], **CLI)).status_code == 200
    assert_error(await shop.desk.refresh(second["refresh_token"]), 400, "invalid_grant")


async def test_an_access_token_alone(shop: Shop) -> None:
    login = await shop.desk.login("alice")
    again = (await shop.desk.refresh(login["refresh_token"])).json()
    assert (await revoke(shop, again["access_token"], **CLI, token_type_hint="refresh_token")).status_code == 200
    assert await gone(shop, again["access_token"])
    assert await shop.grant(login["access_token"]) is not None
    assert (await shop.desk.refresh(again["refresh_token"])).status_code == 200


async def test_a_token_of_a_client_with_a_secret(shop: Shop) -> None:
    token = (await shop.own(shop.basic())).json()["access_token"]
    assert_error(await revoke(shop, token, client_id="billing"), 401, "invalid_client")
    assert (await revoke(shop, token, shop.basic())).status_code == 200
    assert await gone(shop, token)


@pytest.mark.parametrize("token", ["x", "a.b.c", "é" * 20, "x" * 9_000])
async def test_what_is_not_known_is_revoked_already(shop: Shop, token: str) -> None:
    """RFC 7009 §2.2."""
    before = await intents(shop)
    assert (await revoke(shop, token, **CLI)).status_code == 200
    assert await intents(shop) == before


async def test_twice_is_announced_once(shop: Shop) -> None:
    login = await shop.desk.login("alice")
    await asyncio.gather(*(revoke(shop, login["refresh_token"], **CLI) for _ in range(10)))
    after = await intents(shop)
    assert (await revoke(shop, login["refresh_token"], **CLI)).status_code == 200
    assert await gone(shop, login["access_token"])
    assert (await revoke(shop, login["access_token"], **CLI)).status_code == 200
    assert await intents(shop) == after == 3


async def test_only_the_client_it_belongs_to(shop: Shop) -> None:
    login = await shop.desk.login("alice")
    before = await intents(shop)
    for token in (login["refresh_token"], login["access_token"]):
        assert_error(await revoke(shop, token, shop.basic()), 400, "invalid_grant")
        assert_error(await revoke(shop, token), 401, "invalid_client")
        assert_error(await revoke(shop, token, client_id="nobody"), 401, "invalid_client")
    assert await intents(shop) == before
    assert await shop.grant(login["access_token"]) is not None


async def test_a_token_has_to_be_there(shop: Shop) -> None:
    assert_error(await revoke(shop, "", **CLI), 400, "invalid_request")


# --- logout ----------------------------------------------------------------------------------------------------------


async def logout(shop: Shop, token: str) -> Any:
    return await shop.desk.client.post("/logout", headers={"authorization": f"Bearer {token}"})


@pytest.mark.parametrize("audience", [["ostraka"], ["orders"]])
async def test_logging_out_ends_the_session_everywhere(shop: Shop, audience: list[str]) -> None:
    """Also for a token that is not meant for the issuer: it is the caller's own session."""
    login = await shop.desk.login("alice", audience=audience)
    other = await shop.desk.login("alice")
    answer = await logout(shop, login["access_token"])
    assert answer.status_code == 200, answer.text
    await shop.desk.applied(answer)
    assert await shop.grant(login["access_token"]) is None
    assert_error(await shop.desk.refresh(login["refresh_token"]), 400, "invalid_grant")
    assert await shop.grant(other["access_token"]) is not None
    assert_problem(await logout(shop, login["access_token"]), 401, "revoked")


async def test_many_at_once_announce_it_once(shop: Shop) -> None:
    login = await shop.desk.login("alice")
    before = await intents(shop)
    answers = await asyncio.gather(*(logout(shop, login["access_token"]) for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {200, 401}
    assert await intents(shop) == before + 1


async def test_without_a_session_or_a_token_there_is_nothing_to_end(shop: Shop) -> None:
    token = (await shop.own(shop.basic())).json()["access_token"]
    assert_problem(await logout(shop, token), 400, "bad_request")
    answer = await shop.desk.client.post("/logout")
    assert_problem(answer, 401, "no_token")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert_problem(await logout(shop, "x"), 401, "malformed")


async def test_what_was_ended_is_in_the_audit_trail_as_the_callers_act(shop: Shop) -> None:
    login = await shop.desk.login("alice")
    await logout(shop, login["access_token"])
    async with shop.desk.issuer.store.read() as tx:
        row = (await tx.execute(select(AUDIT).order_by(AUDIT.c.id.desc()).limit(1))).one()
    grant = await shop.desk.issuer.accounts.find("alice")
    assert (row.actor, row.action, row.target) == (grant.id, "logout", login["session_id"])


async def test_a_client_that_is_disabled_revokes_nothing(shop: Shop) -> None:
    token = (await shop.own(shop.basic())).json()["access_token"]
    await shop.clients.change("billing", ClientChange(disabled=True))
    assert_error(await revoke(shop, token, shop.basic()), 401, "invalid_client")
