"""RFC 7662: what has become of a token, for those who may ask."""

from typing import Any

import pytest
from sqlalchemy import update

from ostraka_consumers.trust.core import TrustCore
from ostraka_issuer.limits import SESSION_IDLE
from ostraka_issuer.store.tables import CLIENTS, SESSIONS, USERS
from tests.issuer.test_http_token import assert_error
from tests.issuer.world import PASSWORD, claims_of

from .scene import Shop

INACTIVE = {"active": False}


async def ask(shop: Shop, token: str, headers: dict[str, str] | None = None, /, **fields: str) -> Any:
    """Ask as ``billing``, if nothing else is said."""
    used = shop.basic() if headers is None else headers
    return await shop.desk.client.post("/introspect", data={"token": token, **fields}, headers=used)


async def test_an_access_token(shop: Shop) -> None:
    login = await shop.desk.login("alice", audience=["orders"])
    claims = claims_of(login["access_token"])
    answer = await ask(shop, login["access_token"])
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    said = answer.json()
    claims.pop("fv")
    assert said == {
        **claims,
        "active": True,
        "token_type": "Bearer",
        "scope": "orders:create orders:read",
        "username": "alice",
    }


async def test_only_what_is_left_of_the_permissions_is_said(shop: Shop) -> None:
    login = await shop.desk.login("alice")
    await shop.applied(await shop.desk.issuer.revocations.permission("orders:create"))
    said = (await ask(shop, login["access_token"])).json()
    assert (said["active"], said["permissions"], said["scope"]) == (True, ["orders:read"], "orders:read")
    await shop.applied(await shop.desk.issuer.revocations.permission("orders:*"))
    nothing = (await ask(shop, login["access_token"])).json()
    assert (nothing["active"], nothing["permissions"], "scope" in nothing) == (True, [], False)


async def test_an_exchanged_token_says_who_acts_and_what_it_is_bound_to(shop: Shop) -> None:
    subject = (await shop.desk.login("alice"))["access_token"]
    token = (await shop.exchange(subject, **shop.proof())).json()["access_token"]
    said = (await ask(shop, token)).json()
    assert said["act"] == {
        "sub": "relay",
        "client_id": "relay",
        "act": {"sub": "ostraka-cli", "client_id": "ostraka-cli"},
    }
    assert set(said["cnf"]) == {"jkt"}


@pytest.mark.parametrize("change", ["session", "user", "client"])
async def test_the_database_counts_before_the_feed_says_it(shop: Shop, change: str) -> None:
    login = await shop.desk.login("alice")
    changes = {
        "session": update(SESSIONS).values(ended_at=1.0),
        "user": update(USERS).values(disabled=True),
        "client": update(CLIENTS).where(CLIENTS.c.id == "ostraka-cli").values(disabled=True),
    }
    async with shop.desk.issuer.store.write() as tx:
        await tx.execute(changes[change])
    assert shop.verifier.verify(login["access_token"]).allows("orders:read")
    for token in (login["access_token"], login["refresh_token"]):
        assert (await ask(shop, token)).json() == INACTIVE


async def test_an_inactive_token_is_nothing_else(shop: Shop) -> None:
    login = await shop.desk.login("alice")
    await shop.applied(await shop.desk.issuer.revocations.session(login["session_id"]))
    for token in (login["access_token"], login["refresh_token"], "x", "é", "a.b.c", "x" * 9_000, shop.assertion()):
        answer = await ask(shop, token)
        assert (answer.status_code, answer.json()) == (200, INACTIVE)


async def test_who_may_ask(shop: Shop) -> None:
    token = (await shop.desk.login("alice"))["access_token"]
    assert (await ask(shop, token, {}, **shop.proof())).json()["active"] is True
    for headers, fields in (({}, {}), ({}, {"client_id": "ostraka-cli"}), (shop.basic(secret="wrong"), {})):
        assert_error(await ask(shop, token, headers, **fields), 401, "invalid_client")
    await shop.desk.issuer.accounts.add_user("watcher", PASSWORD, ["tokens:introspect"])
    watcher = await shop.desk.bearer("watcher")
    assert (await ask(shop, token, watcher)).json()["active"] is True
    answer = await ask(shop, token, {"authorization": f"Bearer {token}"})
    assert_error(answer, 403, "insufficient_scope")
    answer = await ask(shop, token, {"authorization": "Bearer x"})
    assert_error(answer, 401, "invalid_token")
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert_error(await ask(shop, ""), 400, "invalid_request")


async def test_a_refresh_token_says_something_to_its_client_only(shop: Shop) -> None:
    body = {"username": "alice", "password": PASSWORD, "client_id": "billing"}
    login = (await shop.desk.client.post("/login", json=body, headers=shop.basic())).json()
    said = (await ask(shop, login["refresh_token"])).json()
    assert (said["active"], said["client_id"], said["sid"], said["username"]) == (
        True,
        "billing",
        login["session_id"],
        "alice",
    )
    assert said["exp"] - said["iat"] == SESSION_IDLE
    assert (await ask(shop, login["refresh_token"], {}, **shop.proof())).json() == INACTIVE
    await shop.desk.issuer.accounts.add_user("watcher", PASSWORD, ["tokens:introspect"])
    assert (await ask(shop, login["refresh_token"], await shop.desk.bearer("watcher"))).json()["active"] is True


async def test_asking_about_a_used_refresh_token_does_no_harm(shop: Shop) -> None:
    body = {"username": "alice", "password": PASSWORD, "client_id": "billing"}
    first = (await shop.desk.client.post("/login", json=body, headers=shop.basic())).json()
    second = (await shop.token(shop.basic(), grant_type="refresh_token", refresh_token=first["refresh_token"])).json()
    third = (await shop.token(shop.basic(), grant_type="refresh_token", refresh_token=second["refresh_token"])).json()
    assert (await ask(shop, first["refresh_token"])).json() == INACTIVE
    assert (await ask(shop, third["refresh_token"])).json()["active"] is True


async def test_nobody_can_tell(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verifier without news says neither yes nor no."""
    token = (await shop.desk.login("alice"))["access_token"]
    with monkeypatch.context() as patch:
        patch.setattr(TrustCore, "why_not_ready", lambda _self, _at: "the newest heartbeat is too old")
        answer = await ask(shop, token)
    assert_error(answer, 503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0
