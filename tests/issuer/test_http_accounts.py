"""The doors of ``/admin`` for users, roles, clients, sessions and the audit trail."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from ostraka_consumers.errors import Revoked
from ostraka_issuer.accounts.client_secret import secret_fits
from ostraka_issuer.accounts.clients import TOKEN_EXCHANGE, find_client
from ostraka_issuer.limits import PAGE_MAX
from ostraka_issuer.store.tables import USERS
from tests.issuer.front import Desk
from tests.issuer.test_client_credentials import KEYS, PRIVATE, jwks
from tests.issuer.test_http_login import assert_problem
from tests.issuer.world import PASSWORD

DOORS = [
    ("GET", "/admin/users", "users:read"),
    ("POST", "/admin/users", "users:write"),
    ("GET", "/admin/users/x", "users:read"),
    ("PATCH", "/admin/users/x", "users:write"),
    ("DELETE", "/admin/users/x", "users:write"),
    ("GET", "/admin/roles", "roles:read"),
    ("POST", "/admin/roles", "roles:write"),
    ("GET", "/admin/roles/x", "roles:read"),
    ("PATCH", "/admin/roles/x", "roles:write"),
    ("DELETE", "/admin/roles/x", "roles:write"),
    ("GET", "/admin/clients", "clients:read"),
    ("POST", "/admin/clients", "clients:write"),
    ("GET", "/admin/clients/x", "clients:read"),
    ("PATCH", "/admin/clients/x", "clients:write"),
    ("POST", "/admin/clients/x/secret", "clients:write"),
    ("DELETE", "/admin/clients/x", "clients:write"),
    ("GET", "/admin/sessions", "sessions:read"),
    ("DELETE", "/admin/sessions/x", "sessions:write"),
    ("GET", "/admin/audit", "audit:read"),
]


class Office:
    """Somebody who may do everything, at the doors."""

    def __init__(self, desk: Desk, bearer: dict[str, str]) -> None:
        self.desk = desk
        self.bearer = bearer

    async def __call__(self, method: str, path: str, status: int = 200, **more: Any) -> dict[str, Any]:
        answer = await self.ask(method, path, **more)
        assert answer.status_code == status, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return await self.desk.client.request(method, f"/admin/{path}", headers=self.bearer, **more)

    async def applied(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """A change that narrows, and that the verifier has applied."""
        answer = await self.ask(method, path, **more)
        assert answer.status_code == 200, answer.text
        await self.desk.applied(answer)
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture
async def office(desk: Desk) -> Office:
    await desk.issuer.accounts.add_user("root", PASSWORD, ["*:*"])
    return Office(desk, await desk.bearer("root"))


async def of_user(office: Office, name: str) -> dict[str, Any]:
    (user,) = (await office("GET", "users", params={"username": name}))["users"]
    found: dict[str, Any] = user
    return found


@pytest.mark.parametrize(("method", "path", "permission"), DOORS)
async def test_every_door_is_guarded(desk: Desk, method: str, path: str, permission: str) -> None:
    answer = await desk.client.request(method, path)
    assert answer.status_code == 401
    resource, action = permission.split(":")
    others = [f"{resource}:{'read' if action == 'write' else 'write'}", *(f"{each}:*" for each in OTHERS[resource])]
    await desk.issuer.accounts.add_user("nearly", PASSWORD, others)
    answer = await desk.client.request(method, path, headers=await desk.bearer("nearly"))
    assert answer.status_code == 403
    assert permission in answer.json()["detail"]


RESOURCES = ("users", "roles", "clients", "sessions", "audit")


async def test_a_refusal_of_the_guard_names_its_request(desk: Desk) -> None:
    for headers, status in (({}, 401), (await desk.bearer("alice"), 403)):
        answer = await desk.client.get("/admin/users", headers=headers)
        assert answer.status_code == status
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_nothing_redirects_to_where_the_caller_says(office: Office) -> None:
    answer = await office.ask("GET", "users/", follow_redirects=False)
    assert_problem(answer, 404, "not_found")
    assert "location" not in answer.headers


OTHERS = {each: [other for other in RESOURCES if other != each] for each in RESOURCES}


async def test_a_user_from_begin_to_end(office: Office) -> None:
    desk = office.desk
    await office("POST", "roles", 201, json={"name": "clerk", "permissions": ["stock:read"], "description": "counts"})
    made = await office(
        "POST",
        "users",
        201,
        json={"username": "erin", "password": PASSWORD, "permissions": ["a:b"], "roles": ["clerk"]},
    )
    assert made["effective_permissions"] == ["a:b", "stock:read"]
    assert await office("GET", f"users/{made['id']}") == made == await of_user(office, "erin")
    token = (await desk.login("erin", audience=["ostraka"]))["access_token"]
    path = f"users/{made['id']}"
    more = await office("PATCH", path, json={"grant": ["c:d"]})
    assert (more["txn"], more["announced"], more["published"]) == (None, 0, False)
    assert more["user"]["permissions"] == ["a:b", "c:d"]
    less = await office.applied("PATCH", path, json={"withdraw": ["a:b"], "unassign": ["clerk"], "reason": "moved"})
    assert less["user"]["effective_permissions"] == ["c:d"]
    assert less["announced"] == 1
    assert not desk.issuer.verifier.verify(token).allows("stock:read")
    off = await office.applied("PATCH", path, json={"disabled": True})
    assert (off["user"]["disabled"], off["sessions_ended"]) == (True, 1)
    with pytest.raises(Revoked):
        desk.issuer.verifier.verify(token)
    gone = await office.applied("DELETE", path, params={"reason": "left"})
    assert gone["announced"] == 1
    assert_problem(await office.ask("GET", path), 404, "not_found")
    assert (await office("GET", "users", params={"username": "erin"})) == {"users": [], "next": None}


async def test_a_password_set_by_an_operator_logs_out(office: Office) -> None:
    alice = await office.desk.login("alice", audience=["ostraka"])
    user = await of_user(office, "alice")
    done = await office.applied("PATCH", f"users/{user['id']}", json={"password": "an entirely new one"})
    assert done["user"]["password_changed_at"] is not None
    assert "entirely" not in str(done)
    with pytest.raises(Revoked):
        office.desk.issuer.verifier.verify(alice["access_token"])
    assert (await office.desk.refresh(alice["refresh_token"])).status_code == 400


async def test_roles(office: Office) -> None:
    made = await office("POST", "roles", 201, json={"name": "clerk", "permissions": ["stock:read", "stock:write"]})
    alice = await of_user(office, "alice")
    await office("PATCH", f"users/{alice['id']}", json={"assign": ["clerk"]})
    token = (await office.desk.login("alice", audience=["ostraka"]))["access_token"]
    assert (await office("GET", "roles/clerk")) == {**made, "users": 1}
    done = await office.applied("PATCH", "roles/clerk", json={"withdraw": ["stock:write"], "description": "reads"})
    assert (done["role"]["permissions"], done["role"]["description"]) == (["stock:read"], "reads")
    assert not office.desk.issuer.verifier.verify(token).allows("stock:write")
    assert [user["username"] for user in (await office("GET", "users?role=clerk"))["users"]] == ["alice"]
    await office.applied("DELETE", "roles/clerk")
    assert not office.desk.issuer.verifier.verify(token).allows("stock:read")
    assert (await office("GET", "roles")) == {"roles": [], "next": None}


async def test_a_client_and_its_secret(office: Office) -> None:
    body = {
        "id": "billing",
        "auth_method": "client_secret_basic",
        "grant_types": ["client_credentials"],
        "audiences": ["orders"],
        "permissions": ["bills:read"],
    }
    answer = await office.ask("POST", "clients", json=body)
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    secret = made.pop("client_secret")
    assert await fits(office, secret)
    shown = await office("GET", "clients/billing")
    assert shown == made
    assert secret not in str(await office("GET", "audit"))
    done = await office.applied("POST", "clients/billing/secret", json={"reason": "leaked"})
    assert not await fits(office, secret)
    assert await fits(office, done["client_secret"])
    assert done["client_secret"] not in str(await office("GET", "audit"))
    done = await office.applied("PATCH", "clients/billing", json={"withdraw": ["bills:read"], "name": "Billing"})
    assert (done["client"]["permissions"], done["client"]["name"]) == ([], "Billing")
    await office.applied("DELETE", "clients/billing")
    assert_problem(await office.ask("GET", "clients/billing"), 404, "not_found")


async def fits(office: Office, secret: str) -> bool:
    async with office.desk.issuer.store.read() as tx:
        return secret_fits((await find_client(tx, "billing", for_share=False)).secret_hash, secret)


async def test_a_client_with_keys(office: Office) -> None:
    body = {"id": "mill", "auth_method": "private_key_jwt", "grant_types": ["client_credentials"]}
    answer = await office.ask("POST", "clients", json={**body, "jwks": {"keys": [PRIVATE]}})
    assert_problem(answer, 400, "bad_request")
    assert PRIVATE["d"] not in answer.text
    made = await office("POST", "clients", 201, json={**body, "jwks": jwks(KEYS[0])})
    assert (made["jwks"], made["client_secret"]) == (jwks(KEYS[0]), None)
    assert_problem(await office.ask("POST", "clients/mill/secret"), 409, "conflict")
    done = await office.applied("PATCH", "clients/mill", json={"jwks": jwks(KEYS[1])})
    assert done["client"]["jwks"] == jwks(KEYS[1])


async def test_a_client_is_never_called_like_a_user(office: Office) -> None:
    """Its own tokens would be that user's (RFC 9068 §5)."""
    alice = await of_user(office, "alice")
    if alice["id"][0] in "-_":  # no client's id begins so anyway
        return
    assert_problem(await office.ask("POST", "clients", json={"id": alice["id"]}), 409, "conflict")


async def test_an_id_is_given_once(office: Office) -> None:
    """Tokens that carry it, and the audit trail, mean whoever had it."""
    confidential = {"auth_method": "client_secret_basic", "grant_types": ["client_credentials"]}
    # Not made at the door: no client's id begins with a sign that such an id may begin with.
    async with office.desk.issuer.store.write() as tx:
        await tx.execute(insert(USERS).values(id="u1", username="erin", password_hash="x", disabled=True, created_at=1))
    await office("POST", "clients", 201, json={"id": "mill", **confidential})
    for path in ("users/u1", "clients/mill"):
        await office("DELETE", path)
        again = {"id": path.partition("/")[2], **confidential}
        assert_problem(await office.ask("POST", "clients", json=again), 409, "conflict")
    assert [client["id"] for client in (await office("GET", "clients"))["clients"]] == ["ostraka-cli"]


async def test_no_client_is_called_like_work_on_the_home(office: Office) -> None:
    assert_problem(await office.ask("POST", "clients", json={"id": "home"}), 400, "bad_request")


async def test_sessions_are_listed_and_ended(office: Office) -> None:
    logins = [await office.desk.login("alice", audience=["ostraka"]) for _ in range(2)]
    alice = await of_user(office, "alice")
    listed = (await office("GET", "sessions", params={"user_id": alice["id"]}))["sessions"]
    assert [each["id"] for each in listed] == sorted(login["session_id"] for login in logins)
    assert {(each["username"], each["client_id"], each["ended_at"]) for each in listed} == {
        ("alice", "ostraka-cli", None)
    }
    ended = logins[0]
    done = await office.applied("DELETE", f"sessions/{ended['session_id']}", params={"reason": "laptop lost"})
    assert done["sessions_ended"] == 1
    with pytest.raises(Revoked):
        office.desk.issuer.verifier.verify(ended["access_token"])
    assert (await office.desk.refresh(ended["refresh_token"])).status_code == 400
    left = (await office("GET", "sessions", params={"user_id": alice["id"], "client_id": "ostraka-cli"}))["sessions"]
    assert [each["id"] for each in left] == [logins[1]["session_id"]]
    both = (await office("GET", "sessions", params={"user_id": alice["id"], "ended": "true"}))["sessions"]
    assert [each["end_reason"] for each in both if each["id"] == ended["session_id"]] == ["laptop lost"]
    assert_problem(await office.ask("DELETE", "sessions/nobody"), 404, "not_found")


async def test_the_audit_trail_says_who_did_what(office: Office) -> None:
    root, alice = await of_user(office, "root"), await of_user(office, "alice")
    changed = await office.applied("PATCH", f"users/{alice['id']}", json={"withdraw": ["orders:read"], "reason": "why"})
    await office.applied("POST", "revocations", json={"kind": "token", "jti": "some-jti"})
    listed = (await office("GET", "revocations"))["revocations"]
    assert [(each["kind"], each["target"], each["reason"]) for each in listed] == [
        ("token", "some-jti", None),
        ("permissions", alice["id"], "why"),
    ]
    entries = (await office("GET", "audit"))["entries"]
    newest, before = entries[:2]
    assert (newest["action"], newest["target"], newest["actor"]) == ("revoke.token", "some-jti", root["id"])
    assert (before["action"], before["target"], before["txn"]) == ("user.change", alice["id"], changed["txn"])
    assert before["details"] == {"withdraw": ["orders:read"], "reason": "why"}
    assert {entry["actor"] for entry in entries[2:]} == {"home"}
    only = await office("GET", "audit", params={"actor": root["id"], "action": "user.change", "target": alice["id"]})
    assert [entry["id"] for entry in only["entries"]] == [before["id"]]


async def test_the_audit_trail_says_who_changed_keys(office: Office) -> None:
    root = await of_user(office, "root")
    rotated = await office("POST", "keys/rotate", json={"lead": 3_600})
    called = await office("POST", f"keys/{rotated['kid']}/compromise", json={"reason": "found in a dump"})
    newest, before = (await office("GET", "audit"))["entries"][:2]
    assert (before["action"], before["actor"], before["txn"]) == ("key.rotate", root["id"], rotated["txn"])
    assert (newest["action"], newest["target"], newest["txn"]) == ("key.compromise", rotated["kid"], called["txn"])
    assert newest["details"] == {"reason": "found in a dump"}


@pytest.mark.parametrize("what", ["users", "roles", "clients", "sessions", "audit"])
async def test_every_list_is_read_in_pages(office: Office, what: str) -> None:
    for number in range(4):
        await office("POST", "roles", 201, json={"name": f"role-{number}"})
        await office("POST", "clients", 201, json={"id": f"client-{number}"})
        await office("POST", "users", 201, json={"username": f"user-{number}", "password": PASSWORD})
        await office.desk.login(f"user-{number}", audience=["ostraka"])
    name = "entries" if what == "audit" else what
    whole = (await office("GET", f"{what}?limit={PAGE_MAX}"))[name]
    assert len(whole) >= 4
    read: list[Any] = []
    after: dict[str, Any] = {}
    while True:
        page = await office("GET", what, params={"limit": 3, **after})
        read += page[name]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert read == whole
    for wrong in ("limit=0", f"limit={PAGE_MAX + 1}", "limit=x", "after="):
        assert_problem(await office.ask("GET", f"{what}?{wrong}"), 422, "invalid_request")


@pytest.mark.parametrize("what", ["users", "roles", "clients", "sessions"])
async def test_no_text_reaches_the_database_that_it_could_not_hold(office: Office, what: str) -> None:
    page = await office("GET", f"{what}?after=%00")
    assert page[what] == []
    assert_problem(await office.ask("DELETE", f"{what}/%00"), 400 if what == "sessions" else 404, *_NOT[what])


_NOT = {what: ("bad_request",) if what == "sessions" else ("not_found",) for what in RESOURCES}


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("users", {"username": "a b", "password": PASSWORD}, 400, "bad_request"),
        ("users", {"username": "erin", "password": "s3cret"}, 400, "bad_request"),
        ("users", {"username": "alice", "password": PASSWORD}, 409, "conflict"),
        ("users", {"username": "erin", "password": PASSWORD, "roles": ["s3cret"]}, 400, "bad_request"),
        ("users", {"username": "erin", "password": PASSWORD, "permissions": ["s3cret"]}, 422, "invalid_request"),
        ("users", {"username": "erin"}, 422, "invalid_request"),
        ("roles", {"name": "a/b"}, 400, "bad_request"),
        ("roles", {"name": "a", "description": "\x00"}, 400, "bad_request"),
        ("roles", {"name": "a", "permissions": [f"a:{n}" for n in range(257)]}, 422, "invalid_request"),
        ("roles", {"name": "a", "permissions": [f"a{n}:{'b' * 30}" for n in range(200)]}, 400, "bad_request"),
        ("clients", {"id": "ostraka-cli"}, 409, "conflict"),
        ("clients", {"id": "a", "grant_types": ["client_credentials"]}, 400, "bad_request"),
        ("clients", {"id": "a", "grant_types": ["implicit"]}, 422, "invalid_request"),
        ("clients", {"id": "a", "auth_method": "s3cret"}, 422, "invalid_request"),
        ("clients", {"id": "a", "auth_method": "private_key_jwt"}, 400, "bad_request"),
    ],
)
async def test_what_cannot_be_made(office: Office, path: str, body: dict[str, Any], status: int, code: str) -> None:
    before = await office("GET", path)
    answer = await office.ask("POST", path, json=body)
    assert_problem(answer, status, code)
    assert "s3cret" not in answer.text.replace("there is no role s3cret", "")
    assert await office("GET", path) == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "users", {"username": "erin", "password": PASSWORD}),
        ("PATCH", "users/{alice}", {"disabled": True}),
        ("POST", "roles", {"name": "reader"}),
        ("PATCH", "roles/clerk", {"description": "reads"}),
        ("POST", "clients", {"id": "shop"}),
        ("PATCH", "clients/ostraka-cli", {"name": "another"}),
        ("POST", "clients/ostraka-cli/secret", {}),
        ("POST", "revocations", {"kind": "all"}),
        ("POST", "revocations", {"kind": "subject", "username": "alice"}),
        ("POST", "revocations", {"kind": "token", "jti": "j" * 16}),
        ("POST", "revocations", {"kind": "session", "session_id": "s"}),
        ("POST", "revocations", {"kind": "client", "client_id": "ostraka-cli"}),
        ("POST", "revocations", {"kind": "permission", "permission": "orders:read"}),
        ("POST", "keys/rotate", {}),
        ("POST", "keys/k/compromise", {}),
        ("POST", "/login", {"username": "alice", "password": PASSWORD}),
    ],
    ids=str,
)
@pytest.mark.parametrize("member", ["disable", "größe"], ids=ascii)
async def test_a_member_that_is_not_known_is_named_and_refused(
    office: Office, method: str, path: str, body: dict[str, Any], member: str
) -> None:
    """It may be a misspelt one: a 200 that narrows nothing would be believed."""
    await office("POST", "roles", 201, json={"name": "clerk"})
    alice = await of_user(office, "alice")
    content = json.dumps({**body, member: ["s3cret"]})
    url = path if path.startswith("/") else "/admin/" + path.format(alice=alice["id"])
    answer = await office.desk.client.request(
        method, url, content=content, headers={**office.bearer, "content-type": "application/json"}
    )
    assert_problem(answer, 422, "invalid_request")
    assert f"{member}: is not known" in answer.json()["detail"]
    assert "s3cret" not in answer.text
    assert await of_user(office, "alice") == alice


async def test_what_cannot_be_changed_changes_nothing(office: Office) -> None:
    alice = await of_user(office, "alice")
    await office("POST", "roles", 201, json={"name": "heavy", "permissions": [f"r:{n:0100}" for n in range(30)]})
    more = [f"s:{n:0100}" for n in range(20)]
    for wrong in (
        {"grant": ["a:b"], "withdraw": ["a:b"]},
        {"grant": ["a:b"], "assign": ["nobody"]},
        {"grant": more, "assign": ["heavy"]},
    ):
        assert_problem(await office.ask("PATCH", f"users/{alice['id']}", json=wrong), 400, "bad_request")
    assert await of_user(office, "alice") == alice
    # Nor can a role grow until one who has it holds more than fits into a token.
    await office("PATCH", f"users/{alice['id']}", json={"assign": ["heavy"]})
    assert_problem(await office.ask("PATCH", "roles/heavy", json={"grant": more}), 400, "bad_request")
    assert len((await office("GET", "roles/heavy"))["permissions"]) == 30


async def test_a_part_of_what_is_held_is_not_withdrawn_but_refused(office: Office) -> None:
    await office("POST", "roles", 201, json={"name": "clerk", "permissions": ["orders:*"]})
    confidential = {"auth_method": "client_secret_basic", "grant_types": ["client_credentials"]}
    await office("POST", "clients", 201, json={"id": "mill", "permissions": ["orders:*"], **confidential})
    body = {"username": "erin", "password": PASSWORD, "permissions": ["orders:*"]}
    erin = await office("POST", "users", 201, json=body)
    for path in (f"users/{erin['id']}", "roles/clerk", "clients/mill"):
        answer = await office.ask("PATCH", path, json={"withdraw": ["orders:create"]})
        assert_problem(answer, 409, "conflict")
        assert "withdraw orders:*, and grant what is to stay" in answer.json()["detail"]
        narrower = {"withdraw": ["orders:*"], "grant": ["orders:read"]}
        done = await office("PATCH", path, json=narrower)
        assert "orders:*" not in str(done)


async def test_nobody_hands_out_what_they_do_not_have(office: Office) -> None:
    desk = office.desk
    await desk.issuer.accounts.add_user("clerk", PASSWORD, ["users:*", "roles:*", "clients:*", "orders:read"])
    clerk = Office(desk, await desk.bearer("clerk"))
    alice, root = await of_user(clerk, "alice"), await of_user(clerk, "root")
    me = await of_user(clerk, "clerk")
    await office("POST", "roles", 201, json={"name": "boss", "permissions": ["*:*"]})
    made = {"username": "erin", "password": PASSWORD}
    confidential = {"auth_method": "client_secret_basic", "grant_types": ["client_credentials"]}
    mill = {"id": "mill", "permissions": ["orders:create"], "audiences": ["orders", "stock"]}
    await office("POST", "clients", 201, json={**mill, **confidential})
    for method, path, body in (
        ("POST", "users", {**made, "permissions": ["*:*"]}),
        ("POST", "users", {**made, "roles": ["boss"]}),
        ("PATCH", f"users/{me['id']}", {"grant": ["revocations:create"]}),
        ("PATCH", f"users/{me['id']}", {"assign": ["boss"]}),
        ("PATCH", f"users/{root['id']}", {"password": "mine from now on"}),
        ("POST", "roles", {"name": "new", "permissions": ["orders:*"]}),
        ("PATCH", "roles/boss", {"grant": ["orders:create"]}),
        ("POST", "clients", {"id": "new", "permissions": ["orders:create"], **confidential}),
        ("PATCH", "clients/mill", {"grant": ["orders:create"]}),
        ("PATCH", "clients/mill", {"audiences": ["orders", "billing"]}),
        ("PATCH", "clients/mill", {"audiences": ["billing"]}),
        ("PATCH", "clients/mill", {"audiences": []}),
        ("PATCH", "clients/mill", {"grant_types": ["client_credentials", TOKEN_EXCHANGE]}),
        ("POST", "clients/mill/secret", {}),
    ):
        assert_problem(await clerk.ask(method, path, json=body), 403, "forbidden")
    # Taking is another matter, and so is giving what one has.
    assert (await clerk("PATCH", "clients/mill", json={"audiences": ["orders"]}))["client"]["audiences"] == ["orders"]
    await clerk("POST", "clients", 201, json={"id": "own", "permissions": ["orders:read"], **confidential})
    await clerk("PATCH", "clients/own", json={"audiences": ["orders"], "grant_types": ["client_credentials"]})
    assert (await clerk("PATCH", f"users/{alice['id']}", json={"withdraw": ["orders:create"]}))["announced"] == 1
    await clerk("POST", "users", 201, json={**made, "permissions": ["orders:read"]})
    await clerk("PATCH", f"users/{root['id']}", json={"disabled": True})
    assert_problem(await clerk.ask("PATCH", f"users/{root['id']}", json={"disabled": False}), 403, "forbidden")
