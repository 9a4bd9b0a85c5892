"""Names that nobody has cost what users cost, also after the parameters of hashes were changed. On both databases."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from argon2 import extract_parameters
from sqlalchemy import update

from ostraka_issuer.accounts.passwords import PROFILES, Passwords
from ostraka_issuer.accounts.strangers import Strangers
from ostraka_issuer.errors import LoginRefused
from ostraka_issuer.limits import STRANGERS_READ_EVERY
from ostraka_issuer.store.tables import USERS
from tests.issuer.world import PASSWORD, World

BEFORE = PROFILES["unsafe-for-tests"]
TODAY = dataclasses.replace(BEFORE, time_cost=2, salt_len=16, hash_len=32)
NAMES = [f"nobody-{number}" for number in range(400)]


@pytest_asyncio.fixture
async def changed(store_url: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """An issuer that was started with other parameters than alice's password was stored with."""
    before = await World.make(tmp_path, database=store_url)
    await before.add()
    await before.close()
    monkeypatch.setitem(PROFILES, "owasp", TODAY)
    world = await World.open(before.settings.model_copy(update={"password_profile": "owasp"}), before.clock)
    yield world
    await world.close()


@pytest.fixture
def strangers(changed: World) -> Strangers:
    return Strangers(changed.store, changed.passwords, changed.vault, clock=changed.clock)


async def kinds(strangers: Strangers) -> "Counter[int]":
    """How many names each set of parameters has, by their passes."""
    found = [await strangers.hash_for(name) for name in NAMES]
    return Counter(extract_parameters(each).time_cost for each in found if each is not None)


async def test_a_name_that_nobody_has_costs_what_a_user_of_before_costs(
    changed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    fits = changed.passwords._fits

    def noted(stored: str, data: bytes) -> bool:
        checked.append(stored)
        return fits(stored, data)

    monkeypatch.setattr(changed.passwords, "_fits", noted)
    for name in ("alice", "nobody", "\ud800"):
        with pytest.raises(LoginRefused):
            await changed.sessions.login(name, "wrong password")
    assert [extract_parameters(stored) for stored in checked] == [BEFORE] * 3


async def test_parameters_are_chosen_as_often_as_they_are_stored(changed: World, strangers: Strangers) -> None:
    for number in range(3):
        await changed.add(f"new-{number}")
    found = await kinds(strangers)
    assert set(found) == {BEFORE.time_cost, TODAY.time_cost}
    assert 50 < found[BEFORE.time_cost] < 150, "a quarter of four hundred"


async def test_one_name_has_the_same_parameters_in_every_process_and_changes_to_todays_once(
    changed: World, strangers: Strangers
) -> None:
    seen: list[list[bool]] = []
    for number in range(4):
        other = Strangers(changed.store, changed.passwords, changed.vault, clock=changed.clock)
        here = [changed.passwords.is_outdated(str(await strangers.hash_for(name))) for name in NAMES]
        assert here == [changed.passwords.is_outdated(str(await other.hash_for(name))) for name in NAMES]
        seen.append(here)
        await changed.add(f"new-{number}")
        changed.clock.advance(STRANGERS_READ_EVERY)
    assert seen[0] == [True] * len(NAMES)
    for earlier, later in itertools.pairwise(seen):
        assert sum(earlier) > sum(later)
        assert not [name for name, was, now in zip(NAMES, earlier, later, strict=True) if now and not was]


async def test_once_all_hashes_are_renewed_nothing_of_before_is_left(changed: World, strangers: Strangers) -> None:
    assert set(await kinds(strangers)) == {BEFORE.time_cost}
    await changed.sessions.login("alice", PASSWORD)
    changed.clock.advance(STRANGERS_READ_EVERY)
    assert set(await kinds(strangers)) == {TODAY.time_cost}


async def test_it_is_read_seldom(changed: World, strangers: Strangers, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    read = strangers._read

    async def counted() -> None:
        nonlocal reads
        reads += 1
        await read()

    monkeypatch.setattr(strangers, "_read", counted)
    await kinds(strangers)
    assert reads == 1
    changed.clock.advance(STRANGERS_READ_EVERY)
    await kinds(strangers)
    assert reads == 2


async def test_nothing_of_a_stored_hash_is_handed_out_but_its_parameters(changed: World, strangers: Strangers) -> None:
    stored = await changed.passwords.hash(PASSWORD)
    async with changed.store.write() as tx:
        await tx.execute(update(USERS).values(password_hash=stored))
    instead = str(await strangers.hash_for("nobody"))
    assert instead.split("$")[:4] == stored.split("$")[:4]
    assert not set(instead.split("$")[4:]) & set(stored.split("$")[4:])
    assert not await changed.passwords.check(instead, PASSWORD)
    assert "$" not in repr(strangers)


@pytest.mark.parametrize("damaged", ["x", "plain", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv"])
async def test_a_damaged_hash_is_no_example(changed: World, strangers: Strangers, damaged: str) -> None:
    async with changed.store.write() as tx:
        await tx.execute(update(USERS).values(password_hash=damaged))
    assert await strangers.hash_for("nobody") is None
    with pytest.raises(LoginRefused):
        await changed.sessions.login("nobody", PASSWORD)


async def test_a_damaged_hash_costs_its_time_too(changed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    fits = Passwords._fits

    def noted(self: Passwords, stored: str, data: bytes) -> bool:
        checked.append(stored)
        return fits(self, stored, data)

    monkeypatch.setattr(Passwords, "_fits", noted)
    assert not await changed.passwords.check("damaged", PASSWORD)
    assert extract_parameters(checked[-1]) == TODAY
