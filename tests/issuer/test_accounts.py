import asyncio

import pytest
from sqlalchemy import select, update

from ostraka_issuer.accounts.errors import TooManyFailures
from ostraka_issuer.accounts.offline import open_accounts
from ostraka_issuer.accounts.people import list_users
from ostraka_issuer.errors import BadRequest, Conflict, HomeError, LoginRefused, NotFound
from ostraka_issuer.store.tables import USERS
from tests.issuer.world import PASSWORD, World, claims_of, new_settings


async def test_a_user_is_found_as_it_was_made(world: World) -> None:
    made = await world.add("alice", "orders:read", "orders:create", "orders:read")
    assert made.permissions == made.effective == ("orders:create", "orders:read")
    assert (made.disabled, made.roles, made.password_changed_at) == (False, (), None)
    assert await world.accounts.find("alice") == made
    assert [user.username for user in await world.accounts.users(limit=10)] == ["alice"]


async def test_the_password_is_not_stored(world: World) -> None:
    await world.add()
    async with world.store.read() as tx:
        stored = (await tx.execute(select(USERS.c.password_hash))).scalar_one()
    assert PASSWORD not in stored
    assert stored.startswith("$argon2id$")


async def test_a_name_is_taken_once(world: World) -> None:
    done = await asyncio.gather(*(world.add("alice") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in done) == 4
    assert len(await world.accounts.users(limit=10)) == 1


COMPOSED, TAKEN_APART = "jos\u00e9", "jose\u0301"


async def test_a_name_is_one_name_however_it_is_composed(world: World) -> None:
    made = await world.add(TAKEN_APART)
    assert made.username == COMPOSED
    for name in (COMPOSED, TAKEN_APART):
        assert await world.accounts.find(name) == made
        await world.sessions.login(name, PASSWORD)
        with pytest.raises(Conflict):
            await world.add(name)
        async with world.store.read() as tx:
            assert await list_users(tx, limit=1, username=name) == [made]
    for name in (COMPOSED, TAKEN_APART) * 3:
        with pytest.raises((LoginRefused, TooManyFailures)):
            await world.sessions.login(name, "wrong password", address="192.0.2.1")
    with pytest.raises(TooManyFailures):
        await world.sessions.login(TAKEN_APART, PASSWORD)


@pytest.mark.parametrize("kept", [COMPOSED, TAKEN_APART], ids=["composed", "taken-apart"])
async def test_a_name_that_was_kept_as_it_came_is_found(world: World, kept: str) -> None:
    made = await world.add("somebody")
    async with world.store.write() as tx:
        await tx.execute(update(USERS).values(username=kept))
    for name in (COMPOSED, TAKEN_APART):
        assert (await world.accounts.find(name)).id == made.id
        await world.sessions.login(name, PASSWORD)
        with pytest.raises(Conflict):
            await world.add(name)


async def test_of_two_that_were_kept_apart_each_is_found_by_its_own_spelling(world: World) -> None:
    users = {name: await world.add(other) for name, other in ((COMPOSED, "one"), (TAKEN_APART, "two"))}
    async with world.store.write() as tx:
        for name, user in users.items():
            await tx.execute(update(USERS).where(USERS.c.id == user.id).values(username=name))
    for name, user in users.items():
        assert (await world.accounts.find(name)).id == user.id
        assert claims_of((await world.sessions.login(name, PASSWORD)).access_token)["sub"] == user.id


@pytest.mark.parametrize("name", ["", "a b", "a\n", "a\x00", "x" * 256, "\ud800", "\u202eadmin"])
async def test_what_cannot_be_a_name(world: World, name: str) -> None:
    with pytest.raises(BadRequest, match="user name"):
        await world.accounts.add_user(name, PASSWORD)


@pytest.mark.parametrize("granted", [["orders"], ["a:b:c"], [""], [f"a:{n}" for n in range(257)], ["a:" + "b" * 5_000]])
async def test_what_cannot_be_granted(world: World, granted: list[str]) -> None:
    with pytest.raises(BadRequest, match="permission"):
        await world.accounts.add_user("alice", PASSWORD, granted)
    with pytest.raises(NotFound):
        await world.accounts.find("alice")


async def test_all_permissions_of_a_user_fit_into_a_token(world: World) -> None:
    await world.add("alice", *[f"resource-{n:03}:{'x' * 15}" for n in range(140)])
    issued = await world.sessions.login("alice", PASSWORD)
    assert len(issued.access_token) < 8_192
    with pytest.raises(BadRequest, match="4096 characters"):
        await world.accounts.grant("alice", [f"more-{n:03}:{'x' * 20}" for n in range(50)])


async def test_granting_adds_and_repeats_nothing(world: World) -> None:
    await world.add("alice", "orders:read")
    user = await world.accounts.grant("alice", ["orders:read", "orders:create"])
    assert user.permissions == ("orders:create", "orders:read")
    with pytest.raises(NotFound):
        await world.accounts.grant("bob", ["orders:read"])


async def test_revoking_a_permission_takes_every_grant_that_still_allows_it(world: World) -> None:
    await world.add("alice", "orders:create", "orders:read")
    await world.add("bob", "orders:*")
    await world.add("carol", "*:create", "reports:read")
    assert (await world.revocations.permission("orders:create")).grants == 3
    assert [user.permissions for user in await world.accounts.users(limit=10)] == [
        ("orders:read",),
        (),
        ("reports:read",),
    ]


async def test_commands_work_on_a_home_without_an_issuer(world: World) -> None:
    async with open_accounts(world.settings) as accounts:
        await accounts.add_user("dave", PASSWORD, ["orders:read"])
    assert (await world.accounts.find("dave")).permissions == ("orders:read",)
    await world.sessions.login("dave", PASSWORD)


async def test_commands_need_a_finished_home(world: World) -> None:
    elsewhere = new_settings(world.settings.home / "nowhere")
    with pytest.raises(HomeError, match="ostraka init"):
        async with open_accounts(elsewhere):
            pass
