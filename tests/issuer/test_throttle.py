"""Guessing passwords: what is counted, who waits, and what nobody can tell from it. On both databases."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import insert, select

from ostraka_issuer.accounts import failures as failures_module
from ostraka_issuer.accounts.errors import TooManyFailures
from ostraka_issuer.accounts.passwords import PROFILES, Passwords
from ostraka_issuer.accounts.throttle import network_of
from ostraka_issuer.accounts.users import UserChange
from ostraka_issuer.errors import HashingBusy, LoginRefused, StoreUnavailable
from ostraka_issuer.limits import PLACES_KEPT, PLACES_KEPT_FOR
from ostraka_issuer.store.tables import LOGIN_FAILURES, LOGIN_PLACES, USERS
from tests.issuer.world import PASSWORD, World

WRONG = "wrong password"
AT_HOME = "192.0.2.7"


@pytest_asyncio.fixture
async def any_world(store_url: str | None, tmp_path: Path) -> AsyncIterator[World]:
    world = await World.make(tmp_path, database=store_url)
    await world.add()
    yield world
    await world.close()


async def fail(world: World, username: str = "alice", *, address: str | None = None, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(LoginRefused):
            await world.sessions.login(username, WRONG, address=address)


async def waits(world: World, username: str = "alice", *, address: str | None = None) -> int | None:
    """How long a login, with the right password, has to wait."""
    with pytest.raises(TooManyFailures) as caught:
        await world.sessions.login(username, PASSWORD, address=address)
    assert caught.value.status == 429
    return caught.value.retry_after


async def failures(world: World) -> list[int]:
    async with world.store.read() as tx:
        return sorted((await tx.execute(select(LOGIN_FAILURES.c.failures))).scalars().all())


async def test_after_five_failures_the_right_password_has_to_wait_too(any_world: World) -> None:
    await fail(any_world, times=5)
    assert await waits(any_world) == 1
    any_world.clock.advance(1)
    await fail(any_world)
    assert await waits(any_world) == 2
    any_world.clock.advance(1.5)
    assert await waits(any_world) == 1
    any_world.clock.advance(0.5)
    await any_world.sessions.login("alice", PASSWORD)
    assert await failures(any_world) == [], "a login makes the account's failures forgotten"
    await fail(any_world, times=5)


@pytest.mark.parametrize("username", ["nobody", "\ud800", "x" * 255])
async def test_a_name_that_does_not_exist_is_treated_alike(any_world: World, username: str) -> None:
    for name in (username, "alice"):
        await fail(any_world, name, times=5)
        assert await waits(any_world, name) == 1


async def test_a_disabled_account_is_treated_alike(any_world: World) -> None:
    await any_world.disable("alice")
    for _ in range(5):
        with pytest.raises(LoginRefused):
            await any_world.sessions.login("alice", PASSWORD)
    assert await waits(any_world) == 1


async def test_whoever_waits_costs_no_hashing(any_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await fail(any_world, times=5)

    async def never(*_args: object) -> bool:
        raise AssertionError("no password may be looked at")

    monkeypatch.setattr(any_world.passwords, "check", never)
    assert await waits(any_world) == 1


async def test_no_crowd_passes_through_the_moment_when_the_wait_is_over(any_world: World) -> None:
    await fail(any_world, times=5)
    any_world.clock.advance(1)
    done = await asyncio.gather(*(any_world.sessions.login("alice", WRONG) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(error, LoginRefused) for error in done) == 1
    assert sum(isinstance(error, TooManyFailures) for error in done) == 19
    assert await failures(any_world) == [6]


@pytest.mark.parametrize("address", [None, "192.0.2.1"], ids=["nowhere", "address"])
async def test_of_a_crowd_of_guesses_no_more_are_looked_at_than_of_one_after_the_other(
    any_world: World, monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    check, looked_at = any_world.passwords.check, 0

    async def counted(stored: str | None, password: str) -> bool:
        nonlocal looked_at
        looked_at += 1
        return await check(stored, password)

    other = await World.open(any_world.settings, any_world.clock)
    for world in (any_world, other):
        monkeypatch.setattr(world.passwords, "check", counted)
        monkeypatch.setattr(world.passwords, "places", 100)
    done = await asyncio.gather(
        *(world.sessions.login("alice", WRONG, address=address) for _ in range(40) for world in (any_world, other)),
        return_exceptions=True,
    )
    await other.close()
    assert sum(isinstance(error, LoginRefused) for error in done) == looked_at == 5
    assert sum(isinstance(error, TooManyFailures) for error in done) == 75
    assert await failures(any_world) == ([5] if address is None else [5, 5])
    assert await waits(any_world) == 1


async def test_right_passwords_side_by_side_leave_nothing_behind(any_world: World) -> None:
    await fail(any_world, "bob", address="192.0.2.1")
    for _ in range(3):
        await asyncio.gather(*(any_world.sessions.login("alice", PASSWORD, address="192.0.2.1") for _ in range(5)))
    assert await failures(any_world) == [1, 1], "those of bob and of the address"


async def test_a_login_that_the_caller_gives_up_counts_as_failed(
    any_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = asyncio.Event()

    async def forever(_stored: str | None, _password: str) -> bool:
        looked_at.set()
        await asyncio.Event().wait()
        return False

    with monkeypatch.context() as patch:
        patch.setattr(any_world.passwords, "check", forever)
        login = asyncio.create_task(any_world.sessions.login("alice", WRONG))
        await looked_at.wait()
        login.cancel()
        with pytest.raises(asyncio.CancelledError):
            await login
    assert await failures(any_world) == [1]


async def test_what_fails_once_the_password_was_right_counts_for_nothing(
    any_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fail(any_world)

    async def gone(*_args: object) -> None:
        raise StoreUnavailable("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr("ostraka_issuer.sessions.login.share_everyone", gone)
        for _ in range(10):
            with pytest.raises(StoreUnavailable):
                await any_world.sessions.login("alice", PASSWORD)
    assert await failures(any_world) == [1]


async def test_an_address_is_slowed_down_whatever_names_it_tries(any_world: World) -> None:
    for number in range(101):
        await fail(any_world, f"user-{number}", address="192.0.2.1")
    assert await waits(any_world, address="192.0.2.1") == 1
    await any_world.sessions.login("alice", PASSWORD, address="192.0.2.2")
    any_world.clock.advance(1)
    await any_world.sessions.login("alice", PASSWORD, address="192.0.2.1")
    assert max(await failures(any_world)) == 101, "whoever has an account does not make the address forgotten"


async def test_a_queue_that_is_full_counts_for_nothing(any_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await fail(any_world, times=5)
    any_world.clock.advance(1)

    async def full(*_args: object) -> bool:
        raise HashingBusy("too many logins at once; try again")

    with monkeypatch.context() as patch:
        patch.setattr(any_world.passwords, "check", full)
        with pytest.raises(HashingBusy):
            await any_world.sessions.login("alice", PASSWORD)
    assert await failures(any_world) == [5]


async def test_tries_that_count_for_nothing_make_nothing_forgotten_twice(
    any_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fail(any_world, times=5)
    any_world.clock.advance(24 * 3_600)

    async def full(*_args: object) -> bool:
        raise HashingBusy("too many logins at once; try again")

    with monkeypatch.context() as patch:
        patch.setattr(any_world.passwords, "check", full)
        for _ in range(10):
            with pytest.raises(HashingBusy):
                await any_world.sessions.login("alice", PASSWORD)
    await fail(any_world)
    assert await waits(any_world) == 1, "four of the five still count"


async def test_what_is_forgotten_is_taken_away(any_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures_module, "FAILURES_PRUNED_EVERY", 1)
    await fail(any_world, "nobody", times=5)
    any_world.clock.advance(99 * 24 * 3_600)
    await fail(any_world)
    assert await failures(any_world) == [1, 5]
    any_world.clock.advance(2 * 24 * 3_600)
    await fail(any_world)
    assert await failures(any_world) == [1]


async def test_the_table_does_not_grow_without_bound(any_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures_module, "FAILURES_KEPT", 10)
    monkeypatch.setattr(failures_module, "FAILURES_PRUNED_EVERY", 8)
    now = any_world.clock.now().wall
    rows = [{"key": f"old {number:02}", "failures": 1, "failed_at": now - 60 - number} for number in range(20)]
    async with any_world.store.write() as tx:
        await tx.execute(insert(LOGIN_FAILURES), rows)
    await fail(any_world)
    async with any_world.store.read() as tx:
        kept = set((await tx.execute(select(LOGIN_FAILURES.c.key))).scalars().all())
    assert len(kept) == 10
    assert {row["key"] for row in rows} & kept == {f"old {number:02}" for number in range(9)}, "the oldest go first"


async def test_somebody_elses_guesses_do_not_slow_the_owner_down_at_home(any_world: World) -> None:
    await any_world.sessions.login("alice", PASSWORD, address=AT_HOME)
    for _ in range(3):
        await fail(any_world, address="198.51.100.1", times=5)
        assert await waits(any_world, address="198.51.100.1") is not None
        await any_world.sessions.login("alice", PASSWORD, address=AT_HOME)
        assert await waits(any_world, address="198.51.100.1") is not None, "a login at home forgives nobody else"
        assert await waits(any_world) is not None
        any_world.clock.advance(1_000_000)


async def test_at_home_too_guesses_are_counted(any_world: World) -> None:
    await any_world.sessions.login("alice", PASSWORD, address=AT_HOME)
    await fail(any_world, address=AT_HOME, times=5)
    assert await waits(any_world, address=AT_HOME) == 1
    await any_world.sessions.login("alice", PASSWORD, address="192.0.2.8")
    any_world.clock.advance(1)
    await any_world.sessions.login("alice", PASSWORD, address=AT_HOME)
    await fail(any_world, address=AT_HOME, times=5)


async def test_one_account_at_home_says_nothing_for_another(any_world: World) -> None:
    await any_world.add("bob")
    await any_world.sessions.login("bob", PASSWORD, address=AT_HOME)
    await fail(any_world, times=5)
    assert await waits(any_world, address=AT_HOME) == 1


async def test_an_account_has_few_places_and_loses_those_where_it_no_longer_is(
    any_world: World,
) -> None:
    for number in range(PLACES_KEPT + 2):
        await any_world.sessions.login("alice", PASSWORD, address=f"192.0.2.{number}")
        any_world.clock.advance(1)
    async with any_world.store.read() as tx:
        assert len((await tx.execute(select(LOGIN_PLACES))).all()) == PLACES_KEPT
    await fail(any_world, times=5)
    for number in (0, 1):
        assert await waits(any_world, address=f"192.0.2.{number}") == 1
    await any_world.sessions.login("alice", PASSWORD, address="192.0.2.2")
    any_world.clock.advance(PLACES_KEPT_FOR)
    await fail(any_world, times=5)
    assert await waits(any_world, address="192.0.2.2") is not None


@pytest.mark.parametrize(
    "change", [UserChange(password="another horse battery"), UserChange(disabled=False)], ids=["password", "enabled"]
)
async def test_a_new_password_or_an_account_enabled_again_makes_its_failures_forgotten(
    any_world: World, change: UserChange
) -> None:
    user = await any_world.accounts.find("alice")
    await any_world.sessions.login("alice", PASSWORD, address=AT_HOME)
    for address in (None, AT_HOME):
        await fail(any_world, address=address, times=5)
    await any_world.accounts.change(user.id, UserChange(disabled=change.disabled is False))
    await any_world.accounts.change(user.id, UserChange(grant=["stock:read"]))
    for address in (None, AT_HOME):
        assert await waits(any_world, address=address) == 1
    await any_world.accounts.change(user.id, change)
    await any_world.sequence()
    for address in (None, AT_HOME):
        await any_world.sessions.login("alice", change.password or PASSWORD, address=address)


async def test_a_user_who_has_logged_in_somewhere_can_be_removed(any_world: World) -> None:
    user = await any_world.accounts.find("alice")
    await any_world.sessions.login("alice", PASSWORD, address=AT_HOME)
    await any_world.accounts.delete(user.id)
    async with any_world.store.read() as tx:
        assert (await tx.execute(select(LOGIN_PLACES))).all() == []


async def test_neither_names_nor_addresses_are_stored(any_world: World) -> None:
    await any_world.sessions.login("alice", PASSWORD, address="192.0.2.77")
    await fail(any_world, "nobody", address="192.0.2.77")
    async with any_world.store.read() as tx:
        keys = (await tx.execute(select(LOGIN_FAILURES.c.key))).scalars().all()
        keys = [*keys, *(await tx.execute(select(LOGIN_PLACES.c.network))).scalars().all()]
    assert len(keys) == 3
    assert not [key for key in keys if "nobody" in key or "192" in key]


async def test_it_is_kept_over_a_restart(any_world: World) -> None:
    await fail(any_world, times=5)
    restarted = await World.open(any_world.settings, any_world.clock)
    assert await waits(restarted) == 1
    await restarted.close()


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
    ],
)
def test_what_is_slowed_down_together(address: str, network: str) -> None:
    assert network_of(address) == network


async def password_hash(world: World) -> str:
    async with world.store.read() as tx:
        return str((await tx.execute(select(USERS.c.password_hash))).scalar_one())


async def test_a_hash_of_other_parameters_is_renewed_by_the_next_login(
    any_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stronger = dataclasses.replace(PROFILES["unsafe-for-tests"], time_cost=2)
    monkeypatch.setitem(PROFILES, "owasp", stronger)
    other = Passwords("owasp")
    before = await password_hash(any_world)
    await any_world.sessions.login("alice", PASSWORD)
    assert await password_hash(any_world) == before, "the parameters are the same"
    monkeypatch.setattr(any_world.passwords, "_hasher", other._hasher)
    await fail(any_world)
    assert await password_hash(any_world) == before, "a wrong password changes nothing"
    await any_world.sessions.login("alice", PASSWORD)
    after = await password_hash(any_world)
    assert after != before
    assert not other.is_outdated(after)
    await any_world.sessions.login("alice", PASSWORD)
    assert await password_hash(any_world) == after
    await other.close()
