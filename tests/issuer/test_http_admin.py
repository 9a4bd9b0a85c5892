import asyncio
from typing import Any

import httpx
import pytest

from ostraka_consumers.errors import KeyCompromised, Revoked
from ostraka_issuer.errors import FeedDown
from tests.issuer.front import Desk
from tests.issuer.test_http_login import assert_problem
from tests.issuer.world import claims_of, kid_of

DOORS = [
    ("POST", "/admin/revocations", "revocations:create"),
    ("GET", "/admin/revocations", "revocations:read"),
    ("GET", "/admin/keys", "keys:read"),
    ("POST", "/admin/keys/rotate", "keys:rotate"),
    ("POST", "/admin/keys/abc/compromise", "keys:compromise"),
]


async def revoke(desk: Desk, **body: Any) -> httpx.Response:
    return await desk.client.post("/admin/revocations", json=body, headers=await desk.bearer())


# --- who may come in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "permission"), DOORS)
async def test_every_door_is_guarded(desk: Desk, method: str, path: str, permission: str) -> None:
    count = len(await desk.issuer.keys.rows())
    answer = await desk.client.request(method, path, json={"kind": "all"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    answer = await desk.client.request(method, path, json={"kind": "all"}, headers=await desk.bearer("alice"))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert permission in answer.json()["detail"]
    answer = await desk.client.request(method, path, headers={"authorization": "Bearer s3cret.token.value"})
    assert answer.status_code == 401
    assert "s3cret" not in answer.text
    assert len(await desk.issuer.keys.rows()) == count


async def test_a_token_for_another_audience_does_not_open(desk: Desk) -> None:
    token = (await desk.login("operator", audience=["orders"]))["access_token"]
    answer = await desk.client.get("/admin/keys", headers={"authorization": f"Bearer {token}"})
    assert_problem(answer, 401, "wrong_audience")


async def test_a_revoked_operator_is_out_at_once(desk: Desk) -> None:
    bearer = await desk.bearer()
    answer = await desk.client.post(
        "/admin/revocations", json={"kind": "subject", "username": "operator"}, headers=bearer
    )
    await desk.applied(answer)
    assert_problem(await desk.client.get("/admin/keys", headers=bearer), 401, "revoked")


# --- revocations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["token", "session", "subject", "username", "client", "permission", "all"])
async def test_each_kind_is_sequenced_and_refused_by_the_verifier(desk: Desk, kind: str) -> None:
    await desk.register("shop")
    alice = await desk.login("alice", client_id="shop", audience=["ostraka"])
    claims = claims_of(alice["access_token"])
    bodies: dict[str, dict[str, Any]] = {
        "token": {"kind": "token", "jti": claims["jti"], "exp": claims["exp"]},
        "session": {"kind": "session", "session_id": alice["session_id"]},
        "subject": {"kind": "subject", "subject": claims["sub"]},
        "username": {"kind": "subject", "username": "alice"},
        "client": {"kind": "client", "client_id": "shop"},
        "permission": {"kind": "permission", "permission": "orders:create"},
        "all": {"kind": "all"},
    }
    answer = await revoke(desk, **bodies[kind], reason="drill")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["epoch"] == 1
    assert body["seq"] > 2
    assert abs(body["committed_at"] - desk.issuer.clock.now().wall) < 60
    await desk.applied(answer)
    if kind == "permission":
        grant = desk.issuer.verifier.verify(alice["access_token"])
        assert not grant.allows("orders:create")
        assert grant.allows("orders:read")
        assert body["grants_removed"] == 1
        return
    with pytest.raises(Revoked):
        desk.issuer.verifier.verify(alice["access_token"])
    assert body["sessions_ended"] == {"token": 0, "all": 2}.get(kind, 1)
    assert (await desk.refresh(alice["refresh_token"])).status_code == (200 if kind == "token" else 400)
    # A new login is newer than the cut-off.
    again = await desk.login("alice", client_id="shop", audience=["ostraka"])
    assert desk.issuer.verifier.verify(again["access_token"]).allows("orders:create")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid_request"),
        ({"kind": "s3cret"}, 422, "invalid_request"),
        ({"kind": "token"}, 422, "invalid_request"),
        ({"kind": "token", "jti": ""}, 422, "invalid_request"),
        ({"kind": "token", "jti": "x", "exp": -1}, 422, "invalid_request"),
        ({"kind": "token", "jti": "x", "exp": 1e300}, 422, "invalid_request"),
        ({"kind": "subject"}, 422, "invalid_request"),
        ({"kind": "subject", "subject": "s3cret", "username": "s3cret"}, 422, "invalid_request"),
        ({"kind": "subject", "username": "s3cret"}, 404, "not_found"),
        ({"kind": "session", "session_id": "s3cret"}, 404, "not_found"),
        ({"kind": "client", "client_id": "s3cret"}, 404, "not_found"),
        ({"kind": "permission", "permission": "s3cret"}, 422, "invalid_request"),
        ({"kind": "all", "reason": "x" * 1_025}, 422, "invalid_request"),
        ({"kind": "all", "reason": ["s3cret"]}, 422, "invalid_request"),
    ],
)
async def test_a_revocation_that_cannot_be(desk: Desk, body: dict[str, Any], status: int, code: str) -> None:
    answer = await desk.client.post("/admin/revocations", json=body, headers=await desk.bearer())
    assert_problem(answer, status, code)
    assert "s3cret" not in answer.text
    listing = await desk.client.get("/admin/revocations", headers=await desk.bearer())
    assert listing.json() == {"revocations": [], "next": None}


async def test_committed_but_not_in_the_feed_yet_is_202(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    bearer = await desk.bearer()
    for outcome in (None, FeedDown("the feed has ended")):

        async def nowhere(_txn: str, _timeout: float, outcome: FeedDown | None = outcome) -> None:
            if outcome is not None:
                raise outcome

        with monkeypatch.context() as patch:
            patch.setattr(desk.issuer.feed, "position_of", nowhere)
            answer = await desk.client.post("/admin/revocations", json={"kind": "token", "jti": "x"}, headers=bearer)
        assert answer.status_code == 202
        assert (answer.json()["epoch"], answer.json()["seq"]) == (None, None)
        assert answer.json()["committed_at"]


async def test_the_list_is_read_in_pages(desk: Desk) -> None:
    bearer = await desk.bearer()
    done = []
    for number in range(5):
        answer = await desk.client.post(
            "/admin/revocations", json={"kind": "token", "jti": f"t{number}", "reason": f"r{number}"}, headers=bearer
        )
        done.append(answer.json())
    first = (await desk.client.get("/admin/revocations?limit=3", headers=bearer)).json()
    second = (await desk.client.get(f"/admin/revocations?limit=3&before={first['next']}", headers=bearer)).json()
    entries = first["revocations"] + second["revocations"]
    assert [entry["target"] for entry in entries] == ["t4", "t3", "t2", "t1", "t0"]
    assert [entry["reason"] for entry in entries] == ["r4", "r3", "r2", "r1", "r0"]
    assert [entry["seq"] for entry in entries] == [each["seq"] for each in reversed(done)]
    assert second["next"] is None
    for wrong in ("limit=0", "limit=201", "limit=x", "before="):
        assert_problem(await desk.client.get(f"/admin/revocations?{wrong}", headers=bearer), 422, "invalid_request")


async def test_every_kind_is_listed_by_name(desk: Desk) -> None:
    await desk.register("shop")
    alice = await desk.login("alice", client_id="shop")
    bearer = await desk.bearer()
    sub = claims_of(alice["access_token"])["sub"]
    for body in (
        {"kind": "session", "session_id": alice["session_id"]},
        {"kind": "subject", "subject": sub},
        {"kind": "client", "client_id": "shop"},
        {"kind": "permission", "permission": "orders:*"},
    ):
        assert (await desk.client.post("/admin/revocations", json=body, headers=bearer)).status_code == 200
    listing = (await desk.client.get("/admin/revocations", headers=bearer)).json()["revocations"]
    assert [(entry["kind"], entry["target"]) for entry in reversed(listing)] == [
        ("session", alice["session_id"]),
        ("subject", sub),
        ("client", "shop"),
        ("permission", "orders:*"),
    ]


# --- keys ------------------------------------------------------------------------------------------------------------


async def keys(desk: Desk) -> dict[str, Any]:
    answer = await desk.client.get("/admin/keys", headers=await desk.bearer())
    return {key["kid"]: key for key in answer.json()["keys"]}


async def test_rotation(desk: Desk) -> None:
    bearer = await desk.bearer()
    (first,) = await keys(desk)
    answer = await desk.client.post("/admin/keys/rotate", json={"lead": 3_600}, headers=bearer)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    found = await keys(desk)
    assert {kid: (key["state"], key["signs"]) for kid, key in found.items()} == {
        first: ("active", True),
        body["kid"]: ("pre-activation", False),
    }
    assert (body["signs_with"], body["signs_from"]) == (body["kid"], found[body["kid"]]["nbf"])
    again = await desk.client.post("/admin/keys/rotate", headers=bearer)
    assert again.json()["kid"] == body["kid"]
    for lead in (0, -1, 10**9, "60", 1.5):
        wrong = await desk.client.post("/admin/keys/rotate", json={"lead": lead}, headers=bearer)
        assert_problem(wrong, 422, "invalid_request")


async def test_a_compromised_key_is_refused_and_replaced(desk: Desk) -> None:
    alice = await desk.login("alice", audience=["ostraka"])
    leaked = kid_of(alice["access_token"])
    answer = await desk.client.post(
        f"/admin/keys/{leaked}/compromise", json={"reason": "found in a dump"}, headers=await desk.bearer()
    )
    assert answer.status_code == 200, answer.text
    await desk.applied(answer)
    with pytest.raises(KeyCompromised):
        desk.issuer.verifier.verify(alice["access_token"])
    fresh = (await desk.refresh(alice["refresh_token"])).json()
    assert kid_of(fresh["access_token"]) == answer.json()["signs_with"]
    assert desk.issuer.verifier.verify(fresh["access_token"]).allows("orders:create")
    found = await keys(desk)
    assert found[leaked]["state"] == "compromised"
    bearer = await desk.bearer()
    assert_problem(await desk.client.post(f"/admin/keys/{leaked}/compromise", headers=bearer), 409, "conflict")
    assert_problem(await desk.client.post("/admin/keys/nobody/compromise", headers=bearer), 404, "not_found")
    assert_problem(await desk.client.post(f"/admin/keys/{'x' * 65}/compromise", headers=bearer), 422, "invalid_request")


async def test_rotation_refuses_no_good_token(desk: Desk) -> None:
    """Tokens are refreshed and verified without pause while a successor takes over."""
    alice = await desk.login("alice", audience=["ostraka"])
    (first,) = await keys(desk)
    bearer = await desk.bearer()
    # No broker answers here; say that the bus has everything, as it would.
    answer = await desk.client.post("/admin/keys/rotate", json={"lead": 1}, headers=bearer)
    assert answer.status_code == 200
    await mark_published(desk)
    kids: list[str] = []
    async with asyncio.timeout(30):
        while first in kids[-1:] or not kids:
            refreshed = await desk.refresh(alice["refresh_token"])
            assert refreshed.status_code == 200, refreshed.text
            alice = refreshed.json()
            assert desk.issuer.verifier.verify(alice["access_token"]).allows("orders:create")
            kids.append(kid_of(alice["access_token"]))
    assert kids[-1] == answer.json()["kid"]
    assert len(kids) > 1


async def mark_published(desk: Desk) -> None:
    from sqlalchemy import update

    from ostraka_issuer.store.tables import FEED_RECORDS

    async with desk.issuer.store.write() as tx:
        await tx.execute(update(FEED_RECORDS).values(published_at=1.0))
