"""Every way in which somebody may do less than before, seen from a verifier on the issuer's feed.

The token that was good is refused, or has lost the permission; somebody else's is as good as it was.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import select

from ostraka_consumers.errors import Revoked
from ostraka_issuer.accounts import holders
from ostraka_issuer.accounts.client_changes import ClientChange, NewClient
from ostraka_issuer.accounts.client_secret import secret_fits
from ostraka_issuer.accounts.clients import find_client
from ostraka_issuer.accounts.holdings import client_permissions_of
from ostraka_issuer.accounts.roles import RoleChange
from ostraka_issuer.accounts.users import UserChange
from ostraka_issuer.errors import BadRequest, Conflict, GrantRefused, LoginRefused, NotFound
from ostraka_issuer.store.tables import SESSIONS
from tests.issuer.narrowed import Scene, open_scene
from tests.issuer.test_client_credentials import KEYS, jwks
from tests.issuer.world import PASSWORD, claims_of


@pytest_asyncio.fixture
async def scene(tmp_path: Path, store_url: str | None) -> AsyncIterator[Scene]:
    async with open_scene(tmp_path, database=store_url) as scene:
        await scene.roles.add("clerk", ["stock:read", "stock:write"])
        await scene.user("carol", "bills:*", "stock:read", roles=("clerk",))
        await scene.user("dave", "bills:*", roles=("clerk",))
        yield scene


async def ended(scene: Scene, token: str) -> bool:
    """Whether the session of a token has ended, or is gone."""
    async with scene.issuer.store.read() as tx:
        row = (await tx.execute(select(SESSIONS).where(SESSIONS.c.id == claims_of(token)["sid"]))).first()
    return row is None or row.ended_at is not None


async def test_a_permission_taken_from_a_user(scene: Scene) -> None:
    carols, daves = await scene.token("carol"), await scene.token("dave")
    carol = await scene.accounts.find("carol")
    user, change = await scene.accounts.change(carol.id, UserChange(withdraw=["bills:*"]), reason="audit")
    await scene.applied(change)
    assert not scene.allows(carols, "bills:read")
    assert scene.allows(carols, "stock:write")
    assert scene.allows(daves, "bills:read")
    assert user.effective == ("stock:read", "stock:write")
    assert not await ended(scene, carols)


async def test_what_a_role_still_allows_is_not_taken(scene: Scene) -> None:
    token, carol = await scene.token("carol"), await scene.accounts.find("carol")
    _, change = await scene.accounts.change(carol.id, UserChange(withdraw=["stock:read"]))
    assert (change.txn, change.announced) == (None, 0)
    assert scene.allows(token, "stock:read")


async def test_a_part_of_a_pattern_is_not_taken_and_never_said_to_be(scene: Scene) -> None:
    token, carol = await scene.token("carol"), await scene.accounts.find("carol")
    await scene.roles.add("biller", ["bills:*"])
    secret = NewClient("shop", "Shop", "client_secret_basic", ["client_credentials"], permissions=["bills:*"])
    await scene.clients.add(secret)
    for change in (
        scene.accounts.change(carol.id, UserChange(withdraw=["bills:read"], disabled=True)),
        scene.accounts.change(carol.id, UserChange(withdraw=["*:read"])),
        scene.roles.change("biller", RoleChange(withdraw=["bills:read"])),
        scene.clients.change("shop", ClientChange(withdraw=["bills:read"])),
    ):
        with pytest.raises(Conflict, match=r"is allowed by bills:\*, which goes only as a whole: withdraw bills:\*"):
            await change
    assert await scene.accounts.find("carol") == carol
    assert scene.allows(token, "bills:read")


async def test_a_pattern_takes_all_that_it_covers(scene: Scene) -> None:
    await scene.user("erin", "bills:read", "bills:pay", "mail:send")
    token, erin = await scene.token("erin"), await scene.accounts.find("erin")
    user, change = await scene.accounts.change(erin.id, UserChange(withdraw=["bills:*"], grant=["bills:read"]))
    await scene.applied(change)
    assert user.permissions == ("bills:read", "mail:send")
    assert scene.allows(token, "bills:read")
    assert not scene.allows(token, "bills:pay")
    role, _ = await scene.roles.change("clerk", RoleChange(withdraw=["stock:*"], grant=["stock:read"]))
    assert role.permissions == ("stock:read",)
    own = ["bills:read", "bills:pay", "mail:send"]
    await scene.clients.add(NewClient("shop", "Shop", "client_secret_basic", ["client_credentials"], permissions=own))
    await scene.clients.change("shop", ClientChange(withdraw=["bills:*"], grant=["bills:read"]))
    async with scene.issuer.store.read() as tx:
        assert await client_permissions_of(tx, "shop") == ("bills:read", "mail:send")


async def test_a_pattern_is_made_narrower_in_one_step(scene: Scene) -> None:
    token, carol = await scene.token("carol"), await scene.accounts.find("carol")
    what = UserChange(withdraw=["bills:*"], grant=["bills:read"])
    user, change = await scene.accounts.change(carol.id, what)
    await scene.applied(change)
    assert user.permissions == ("bills:read", "stock:read")
    assert scene.allows(token, "bills:read")
    assert not scene.allows(token, "bills:pay")
    with pytest.raises(BadRequest, match="given and taken"):
        await scene.accounts.change(carol.id, UserChange(withdraw=["bills:read"], grant=["bills:*"]))


async def test_what_a_role_alone_allows_is_not_taken_from_one_user(scene: Scene) -> None:
    dave = await scene.accounts.find("dave")
    for withdrawn in ("stock:write", "stock:*"):
        with pytest.raises(Conflict, match="by the role clerk"):
            await scene.accounts.change(dave.id, UserChange(withdraw=[withdrawn]))
    user, _ = await scene.accounts.change(dave.id, UserChange(withdraw=["stock:write"], unassign=["clerk"]))
    assert user.effective == ("bills:*",)
    _, idle = await scene.accounts.change(dave.id, UserChange(withdraw=["stock:write"]))
    assert idle.announced == 0


async def test_a_role_taken_from_a_user(scene: Scene) -> None:
    carols, daves = await scene.token("carol"), await scene.token("dave")
    carol = await scene.accounts.find("carol")
    _, change = await scene.accounts.change(carol.id, UserChange(unassign=["clerk"]))
    await scene.applied(change)
    assert not scene.allows(carols, "stock:write")
    assert scene.allows(carols, "stock:read")
    assert scene.allows(daves, "stock:write")


async def test_a_role_for_another_in_one_step(scene: Scene) -> None:
    """No token in between may do more or less than one of the two."""
    token, carol = await scene.token("carol"), await scene.accounts.find("carol")
    await scene.roles.add("reader", ["stock:read", "stock:count"])
    user, change = await scene.accounts.change(carol.id, UserChange(assign=["reader"], unassign=["clerk"]))
    await scene.applied(change)
    assert change.announced == 1
    assert user.roles == ("reader",)
    assert not scene.allows(token, "stock:write")
    assert not scene.allows(token, "stock:count")
    assert scene.allows(await scene.token("carol"), "stock:count")


async def test_a_permission_taken_from_a_role(scene: Scene) -> None:
    carols, daves = await scene.token("carol"), await scene.token("dave")
    await scene.user("erin", "stock:write")
    erins = await scene.token("erin")
    _, change = await scene.roles.change("clerk", RoleChange(withdraw=["stock:write"]))
    await scene.applied(change)
    assert change.announced == 2
    for token in (carols, daves):
        assert not scene.allows(token, "stock:write")
        assert scene.allows(token, "stock:read")
        assert scene.allows(token, "bills:read")
    assert scene.allows(erins, "stock:write")


async def test_a_role_deleted(scene: Scene) -> None:
    carols, daves = await scene.token("carol"), await scene.token("dave")
    change = await scene.roles.delete("clerk")
    await scene.applied(change)
    assert not scene.allows(carols, "stock:write")
    assert scene.allows(carols, "stock:read")
    assert not scene.allows(daves, "stock:read")
    assert scene.allows(daves, "bills:read")
    assert (await scene.accounts.find("dave")).effective == ("bills:*",)


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_role_of_more_users_than_are_told_one_by_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, deleted: bool
) -> None:
    monkeypatch.setattr(holders, "NARROWED_USERS_MAX", 1)
    tokens = [await scene.token(name) for name in ("carol", "dave")]
    if deleted:
        change = await scene.roles.delete("clerk")
    else:
        _, change = await scene.roles.change("clerk", RoleChange(withdraw=["stock:write"]))
    await scene.applied(change)
    assert change.announced == (2 if deleted else 1)
    assert not any(scene.allows(token, "stock:write") for token in tokens)
    assert all(scene.allows(token, "bills:read") for token in tokens)
    # What Carol holds by another way her next token says again.
    assert scene.allows(await scene.token("carol"), "stock:read")


async def test_a_role_that_gets_again_what_it_loses_is_no_news(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "NARROWED_USERS_MAX", 1)
    what = RoleChange(withdraw=["stock:*"], grant=["stock:read", "stock:write", "stock:count"])
    role, change = await scene.roles.change("clerk", what)
    assert change.announced == 0
    assert role.permissions == ("stock:count", "stock:read", "stock:write")


async def test_a_user_disabled_and_enabled_again(scene: Scene) -> None:
    carols, daves = await scene.token("carol"), await scene.token("dave")
    carol = await scene.accounts.find("carol")
    _, change = await scene.accounts.change(carol.id, UserChange(disabled=True))
    await scene.applied(change)
    with pytest.raises(Revoked):
        scene.grant(carols)
    with pytest.raises(LoginRefused):
        await scene.token("carol")
    assert scene.allows(daves, "bills:read")
    _, change = await scene.accounts.change(carol.id, UserChange(disabled=False))
    assert change.txn is None
    assert await ended(scene, carols)
    with pytest.raises(Revoked):
        scene.grant(carols)
    assert scene.allows(await scene.token("carol"), "bills:read")


async def test_a_user_deleted(scene: Scene) -> None:
    carols, daves = await scene.token("carol"), await scene.token("dave")
    issued = await scene.issuer.sessions.login("carol", PASSWORD)
    carol = await scene.accounts.find("carol")
    change = await scene.accounts.delete(carol.id)
    await scene.applied(change)
    assert change.sessions == 2
    with pytest.raises(Revoked):
        scene.grant(carols)
    with pytest.raises(GrantRefused):
        await scene.issuer.sessions.refresh(issued.refresh_token)
    with pytest.raises(NotFound):
        await scene.accounts.find("carol")
    assert scene.allows(daves, "bills:read")
    again = await scene.user("carol")
    assert again.id != carol.id
    assert again.effective == ()


async def test_a_password_changed(scene: Scene) -> None:
    carols, daves = await scene.token("carol"), await scene.token("dave")
    carol = await scene.accounts.find("carol")
    user, change = await scene.accounts.change(carol.id, UserChange(password="another " + PASSWORD))
    await scene.applied(change)
    with pytest.raises(Revoked):
        scene.grant(carols)
    assert await ended(scene, carols)
    assert user.password_changed_at == change.cause.at
    with pytest.raises(LoginRefused):
        await scene.token("carol")
    assert scene.allows(daves, "bills:read")
    await scene.issuer.sessions.login("carol", "another " + PASSWORD)


async def test_a_wider_grant_that_a_revoked_permission_takes_along(scene: Scene) -> None:
    await scene.user("erin", "bills:read")
    erins, carols = await scene.token("erin"), await scene.token("carol")
    done = await scene.revocations.permission("bills:write")
    await scene.applied_txn(done.txn)
    assert done.grants == 2
    assert not scene.allows(carols, "bills:read")
    assert scene.allows(carols, "stock:write")
    assert scene.allows(erins, "bills:read")


async def test_a_revoked_permission_is_taken_from_roles_and_clients_too(scene: Scene) -> None:
    await scene.clients.add(
        NewClient("shop", "Shop", "client_secret_basic", ["client_credentials"], permissions=["stock:*", "bills:read"])
    )
    daves = await scene.token("dave")
    shops = await scene.signed(daves, sub="shop", client_id="shop", permissions=["stock:*", "bills:read"])
    done = await scene.revocations.permission("stock:write")
    await scene.applied_txn(done.txn)
    assert done.grants == 2
    assert not scene.allows(daves, "stock:write")
    assert scene.allows(daves, "stock:read")
    assert not scene.allows(shops, "stock:read")
    assert scene.allows(shops, "bills:read")
    assert (await scene.accounts.find("dave")).effective == ("bills:*", "stock:read")


async def test_a_session_ended(scene: Scene) -> None:
    first, second = await scene.token("carol"), await scene.token("carol")
    done = await scene.revocations.session(claims_of(first)["sid"])
    await scene.applied_txn(done.txn)
    with pytest.raises(Revoked):
        scene.grant(first)
    assert scene.allows(second, "bills:read")


# --- clients ---------------------------------------------------------------------------------------------------------


async def of_client(scene: Scene, name: str, *permissions: str) -> tuple[str, str, str]:
    """A token of a user through the client, one of the client's own, and one of the user through another client."""
    through = await scene.token(name)
    theirs = await scene.signed(through, client_id="shop")
    return theirs, await scene.signed(through, client_id="shop", sub="shop", permissions=list(permissions)), through


async def shop(scene: Scene, *permissions: str) -> str:
    _, secret = await scene.clients.add(
        NewClient("shop", "Shop", "client_secret_basic", ["client_credentials"], ["orders", "bills"], None, permissions)
    )
    assert secret is not None
    return secret


async def test_a_permission_taken_from_a_client(scene: Scene) -> None:
    await shop(scene, "stock:read", "stock:count")
    theirs, own, _ = await of_client(scene, "dave", "stock:read", "stock:count")
    _, change = await scene.clients.change("shop", ClientChange(withdraw=["stock:read"]))
    await scene.applied(change)
    assert not scene.allows(own, "stock:read")
    assert scene.allows(own, "stock:count")
    assert scene.allows(theirs, "stock:read")


@pytest.mark.parametrize(
    "what",
    [
        ClientChange(disabled=True),
        ClientChange(audiences=["orders"]),
        ClientChange(grant_types=["urn:ietf:params:oauth:grant-type:token-exchange"]),
    ],
)
async def test_what_else_a_client_loses_cuts_it_off(scene: Scene, what: ClientChange) -> None:
    await shop(scene, "stock:read")
    theirs, own, elsewhere = await of_client(scene, "dave", "stock:read")
    _, change = await scene.clients.change("shop", what)
    await scene.applied(change)
    for token in (theirs, own):
        with pytest.raises(Revoked):
            scene.grant(token)
    assert scene.allows(elsewhere, "stock:read")


async def test_a_client_deleted(scene: Scene) -> None:
    await shop(scene, "stock:read")
    theirs, own, elsewhere = await of_client(scene, "dave", "stock:read")
    await scene.applied(await scene.clients.delete("shop"))
    for token in (theirs, own):
        with pytest.raises(Revoked):
            scene.grant(token)
    assert scene.allows(elsewhere, "stock:read")
    async with scene.issuer.store.read() as tx:
        with pytest.raises(NotFound):
            await find_client(tx, "shop", for_share=False)
        assert await client_permissions_of(tx, "shop") == ()


async def test_another_secret(scene: Scene) -> None:
    before = await shop(scene, "stock:read")
    theirs, own, elsewhere = await of_client(scene, "dave", "stock:read")
    after, change = await scene.clients.rotate_secret("shop")
    await scene.applied(change)
    for token in (theirs, own):
        with pytest.raises(Revoked):
            scene.grant(token)
    assert scene.allows(elsewhere, "stock:read")
    async with scene.issuer.store.read() as tx:
        kept = (await find_client(tx, "shop", for_share=False)).secret_hash
    assert secret_fits(kept, after)
    assert not secret_fits(kept, before)


async def test_a_key_replaced(scene: Scene) -> None:
    await scene.clients.add(
        NewClient("shop", "Shop", "private_key_jwt", ["client_credentials"], jwks=jwks(KEYS[0]), permissions=["a:b"])
    )
    _, own, elsewhere = await of_client(scene, "dave", "a:b")
    _, change = await scene.clients.change("shop", ClientChange(jwks=jwks(KEYS[0], KEYS[1])))
    assert change.txn is None
    assert scene.allows(own, "a:b")
    _, change = await scene.clients.change("shop", ClientChange(jwks=jwks(KEYS[1])))
    await scene.applied(change)
    with pytest.raises(Revoked):
        scene.grant(own)
    assert scene.allows(elsewhere, "stock:read")


async def test_the_sessions_of_a_client_end_with_it(scene: Scene) -> None:
    await scene.clients.add(NewClient("app", "App"))
    issued = await scene.issuer.sessions.login("dave", PASSWORD, client_id="app")
    change = await scene.clients.delete("app")
    assert change.sessions == 1
    assert await ended(scene, issued.access_token)
    with pytest.raises(GrantRefused):
        await scene.issuer.sessions.refresh(issued.refresh_token)
