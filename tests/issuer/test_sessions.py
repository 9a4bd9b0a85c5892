"""Login and refresh: who gets tokens, what they say, and what becomes of a token used twice."""

import asyncio
import random
from typing import Any

import pytest
from sqlalchemy import delete, update

from ostraka_issuer.errors import BadRequest, GrantRefused, LoginRefused, SigningUnavailable
from ostraka_issuer.limits import SESSION_IDLE, SESSION_TOTAL
from ostraka_issuer.sessions.service import Issued
from ostraka_issuer.store.tables import FEED_RECORDS, SESSIONS, USERS
from ostraka_schemas.claims import read_claims
from ostraka_schemas.events import SessionRevoked
from tests.issuer.world import PASSWORD, World, claims_of


async def login(world: World, username: str = "alice", **values: Any) -> Issued:
    return await world.sessions.login(username, PASSWORD, **values)


# --- login -----------------------------------------------------------------------------------------------------------


async def test_what_a_token_says(world: World) -> None:
    user = await world.add("alice", "orders:create", "orders:read")
    issued = await login(world)
    claims = claims_of(issued.access_token)
    now = int(world.clock.now().wall)
    read_claims(claims)
    assert set(claims["aud"]) == {"orders", "ostraka"}
    assert claims["iss"] == world.settings.issuer
    assert claims["sub"] == user.id
    assert claims["client_id"] == "ostraka-cli"
    assert (claims["iat"], claims["nbf"], claims["exp"], claims["auth_time"]) == (now, now, now + 300, now)
    assert claims["permissions"] == ["orders:create", "orders:read"]
    assert claims["sid"] == issued.session_id
    assert claims["fv"] == [1, 2]
    assert issued.expires_in == 300
    assert claims["jti"] != claims_of((await login(world)).access_token)["jti"]


async def test_a_login_may_ask_for_less(world: World) -> None:
    await world.add()
    await world.register("shop")
    issued = await login(world, audience=["orders"], client_id="shop")
    claims = claims_of(issued.access_token)
    assert (claims["aud"], claims["client_id"]) == ("orders", "shop")
    again = claims_of((await world.sessions.refresh(issued.refresh_token)).access_token)
    assert (again["aud"], again["client_id"]) == ("orders", "shop")
    for wrong in (["elsewhere"], ["orders", "elsewhere"], []):
        with pytest.raises(BadRequest, match="audience"):
            await login(world, audience=wrong)


async def test_a_refused_login_does_not_say_why(world: World) -> None:
    await world.add("alice")
    await world.add("bob")
    await world.disable("bob")
    texts = set()
    for username, password in (
        ("alice", "wrong password"),
        ("bob", PASSWORD),
        ("nobody", PASSWORD),
        ("\ud800", PASSWORD),
    ):
        with pytest.raises(LoginRefused) as caught:
            await world.sessions.login(username, password)
        texts.add(str(caught.value))
    assert len(texts) == 1


async def test_an_account_closed_while_its_password_was_checked_stays_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.add()
    check = world.passwords.check

    async def meanwhile(stored: str | None, password: str) -> bool:
        fits = await check(stored, password)
        await world.disable("alice")
        return fits

    monkeypatch.setattr(world.passwords, "check", meanwhile)
    with pytest.raises(LoginRefused):
        await login(world)


async def test_a_password_changed_while_it_was_checked_no_longer_opens(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.add()
    check = world.passwords.check

    async def meanwhile(stored: str | None, password: str) -> bool:
        fits = await check(stored, password)
        async with world.store.write() as tx:
            await tx.execute(update(USERS).values(password_hash="another"))
        return fits

    monkeypatch.setattr(world.passwords, "check", meanwhile)
    with pytest.raises(LoginRefused):
        await login(world)


async def test_no_token_before_the_feed_begins(world: World) -> None:
    await world.add()
    async with world.store.write() as tx:
        await tx.execute(delete(FEED_RECORDS))
    with pytest.raises(SigningUnavailable):
        await login(world)


async def test_a_login_after_a_revocation_is_newer_than_it(world: World) -> None:
    await world.add()
    await world.revocations.subject(username="alice")
    head = await world.sequence()
    assert claims_of((await login(world)).access_token)["fv"] == [1, head]


# --- refresh ---------------------------------------------------------------------------------------------------------


async def test_a_refresh_gives_a_new_pair_of_the_same_session(world: World) -> None:
    await world.add()
    first = await login(world)
    world.clock.advance(60)
    second = await world.sessions.refresh(first.refresh_token)
    assert second.session_id == first.session_id
    assert second.refresh_token != first.refresh_token
    old, new = claims_of(first.access_token), claims_of(second.access_token)
    assert new["iat"] == old["iat"] + 60
    assert new["auth_time"] == old["auth_time"]
    assert new["jti"] != old["jti"]


async def test_permissions_are_those_of_the_moment(world: World) -> None:
    await world.add("alice", "orders:read")
    first = await login(world)
    await world.accounts.grant("alice", ["orders:create"])
    second = await world.sessions.refresh(first.refresh_token)
    assert claims_of(second.access_token)["permissions"] == ["orders:create", "orders:read"]


async def test_a_hundred_at_once_raise_the_generation_once(world: World) -> None:
    await world.add()
    first = await login(world)
    issued = await asyncio.gather(*(world.sessions.refresh(first.refresh_token) for _ in range(100)))
    assert len({each.refresh_token for each in issued}) == 1
    assert (await world.session(first.session_id)).generation == 2
    assert len({claims_of(each.access_token)["jti"] for each in issued}) == 100


async def test_fifty_rotations_within_a_second(world: World) -> None:
    """It is the generation that counts, never the time."""
    await world.add()
    issued = await login(world)
    seen = {issued.refresh_token}
    for _ in range(50):
        issued = await world.sessions.refresh(issued.refresh_token)
        seen.add(issued.refresh_token)
    assert len(seen) == 51
    assert (await world.session(issued.session_id)).generation == 51


async def test_a_lost_answer_can_be_asked_for_again(world: World) -> None:
    await world.add()
    first = await login(world)
    second = await world.sessions.refresh(first.refresh_token)
    world.clock.advance(10)
    again = await world.sessions.refresh(first.refresh_token)
    assert again.refresh_token == second.refresh_token
    assert (await world.session(first.session_id)).generation == 2


async def assert_family_is_dead(world: World, session_id: str, *tokens: str) -> None:
    row = await world.session(session_id)
    assert row.ended_at is not None
    intent = await world.newest_intent()
    assert intent.event_uri == SessionRevoked.uri
    assert intent.event["initiating_entity"] == "policy"
    assert intent.subject["session"]["id"] == session_id
    count = len(await world.intents())
    for token in tokens:
        with pytest.raises(GrantRefused):
            await world.sessions.refresh(token)
    assert len(await world.intents()) == count, "a dead session is not announced again"


async def test_after_the_grace_the_predecessor_ends_the_session(world: World) -> None:
    await world.add()
    first = await login(world)
    second = await world.sessions.refresh(first.refresh_token)
    world.clock.advance(10.5)
    with pytest.raises(GrantRefused, match="used before"):
        await world.sessions.refresh(first.refresh_token)
    await assert_family_is_dead(world, first.session_id, first.refresh_token, second.refresh_token)


async def test_the_grace_is_for_the_immediate_predecessor_only(world: World) -> None:
    await world.add()
    first = await login(world)
    second = await world.sessions.refresh(first.refresh_token)
    third = await world.sessions.refresh(second.refresh_token)
    with pytest.raises(GrantRefused, match="used before"):
        await world.sessions.refresh(first.refresh_token)
    await assert_family_is_dead(world, first.session_id, second.refresh_token, third.refresh_token)


async def test_reuse_is_noticed_after_a_restart(world: World) -> None:
    await world.add()
    first = await login(world)
    second = await world.sessions.refresh(first.refresh_token)
    world.clock.advance(60)
    restarted = await World.open(world.settings, world.clock)
    with pytest.raises(GrantRefused, match="used before"):
        await restarted.sessions.refresh(first.refresh_token)
    await assert_family_is_dead(restarted, first.session_id, second.refresh_token)
    await restarted.close()


async def test_a_clock_set_back_does_not_lengthen_the_grace(world: World) -> None:
    await world.add()
    first = await login(world)
    await world.sessions.refresh(first.refresh_token)
    world.clock.step_wall(-3_600)
    with pytest.raises(GrantRefused, match="used before"):
        await world.sessions.refresh(first.refresh_token)


async def test_a_generation_that_never_was_ends_the_session(world: World) -> None:
    """Genuine, but of the future: the database is an older copy, so nobody can tell what was used."""
    await world.add()
    first = await login(world)
    second = await world.sessions.refresh(first.refresh_token)
    third = await world.sessions.refresh(second.refresh_token)
    async with world.store.write() as tx:
        await tx.execute(update(SESSIONS).values(generation=1))
    with pytest.raises(GrantRefused):
        await world.sessions.refresh(third.refresh_token)
    await assert_family_is_dead(world, first.session_id, first.refresh_token)


async def test_another_client_cannot_use_it_and_does_no_harm(world: World) -> None:
    await world.add()
    first = await login(world)
    with pytest.raises(GrantRefused, match="another client"):
        await world.sessions.refresh(first.refresh_token, client_id="thief")
    await world.sessions.refresh(first.refresh_token, client_id="ostraka-cli")


@pytest.mark.parametrize("step", [SESSION_IDLE - 60, SESSION_IDLE // 2])
async def test_a_session_in_use_ends_after_ninety_days_whatever_happens(world: World, step: int) -> None:
    await world.add()
    issued = await login(world)
    age = 0
    while age + step < SESSION_TOTAL:
        world.clock.advance(step)
        age += step
        await world.keys.keep()
        await world.sequence()
        issued = await refreshed(world, issued)
    world.clock.advance(step + 1)
    with pytest.raises(GrantRefused, match="expired"):
        await world.sessions.refresh(issued.refresh_token)
    assert (await world.session(issued.session_id)).end_reason == "expired"


async def refreshed(world: World, issued: Issued) -> Issued:
    while True:
        try:
            return await world.sessions.refresh(issued.refresh_token)
        except SigningUnavailable:
            world.clock.advance(1)
            await world.keys.keep()
            await world.sequence()


async def test_a_session_unused_for_thirty_days_ends(world: World) -> None:
    await world.add()
    issued = await login(world)
    world.clock.advance(SESSION_IDLE + 1)
    with pytest.raises(GrantRefused, match="expired"):
        await world.sessions.refresh(issued.refresh_token)
    with pytest.raises(GrantRefused, match="ended"):
        await world.sessions.refresh(issued.refresh_token)


async def test_a_disabled_user_gets_nothing_more(world: World) -> None:
    await world.add()
    issued = await login(world)
    await world.disable("alice")
    with pytest.raises(GrantRefused, match="ended"):
        await world.sessions.refresh(issued.refresh_token)


@pytest.mark.parametrize("seed", range(20))
async def test_nothing_is_minted_after_a_revocation_is_committed(world: World, seed: int) -> None:
    """Refresh racing revoke: whatever the interleaving, each token is older than the cut-off or refused."""
    chance = random.Random(seed)
    await world.add()
    issued = await login(world)
    minted: list[Issued] = []
    committed = asyncio.Event()
    late: list[Issued] = []

    async def refresher() -> None:
        for _ in range(chance.randint(0, 5)):
            await asyncio.sleep(0)
        after = committed.is_set()
        try:
            new = await world.sessions.refresh(issued.refresh_token)
        except GrantRefused:
            return
        (late if after else minted).append(new)

    async def revoker() -> None:
        for _ in range(chance.randint(0, 20)):
            await asyncio.sleep(0)
        await world.revocations.session(issued.session_id)
        committed.set()

    jobs = [refresher() for _ in range(10)] + [revoker()]
    chance.shuffle(jobs)
    await asyncio.gather(*jobs)
    await refresher()
    assert late == []
    cut_off_at = await world.sequence()
    assert all(claims_of(new.access_token)["fv"] < [1, cut_off_at] for new in minted)
