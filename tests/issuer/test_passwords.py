import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from argon2 import Parameters, Type, extract_parameters

from ostraka_issuer.accounts.passwords import PROFILES, Passwords
from ostraka_issuer.errors import BadRequest, HashingBusy
from ostraka_issuer.settings import load_settings


@pytest_asyncio.fixture
async def passwords() -> AsyncIterator[Passwords]:
    passwords = Passwords("unsafe-for-tests", threads=1, queue=2)
    yield passwords
    await passwords.close()


async def test_a_password_fits_its_hash_only(passwords: Passwords) -> None:
    stored = await passwords.hash("correct horse")
    assert await passwords.check(stored, "correct horse")
    assert not await passwords.check(stored, "correct hors")
    assert not await passwords.check(stored, "")
    assert "correct" not in stored
    assert stored != await passwords.hash("correct horse"), "the salt is new each time"


async def test_an_unknown_user_costs_a_whole_check_and_never_fits(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    fits = passwords._fits

    def noted(stored: str, data: bytes) -> bool:
        checked.append(stored)
        return fits(stored, data)

    monkeypatch.setattr(passwords, "_fits", noted)
    stored = await passwords.hash("correct horse")
    assert not await passwords.check(None, "correct horse")
    assert await passwords.check(stored, "correct horse")
    assert extract_parameters(checked[0]) == extract_parameters(checked[1])


async def test_one_password_however_it_is_composed(passwords: Passwords) -> None:
    stored = await passwords.hash("caf\u00e9 au lait")
    assert await passwords.check(stored, "cafe\u0301 au lait")


@pytest.mark.parametrize("password", ["", "1234567", "x" * 1_025, "\u00e9" * 513])
async def test_what_cannot_be_a_password(passwords: Passwords, password: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await passwords.hash(password)
    assert not password or password not in str(caught.value)


async def test_a_huge_or_odd_password_is_just_wrong(passwords: Passwords) -> None:
    stored = await passwords.hash("x" * 1_024)
    assert await passwords.check(stored, "x" * 1_024)
    assert not await passwords.check(stored, "x" * 1_000_000)
    assert not await passwords.check(stored, "\ud800 lone surrogate")


@pytest.mark.parametrize("stored", ["", "$argon2id$", "plain", "$2b$12$abcdefghijklmnopqrstuv"])
async def test_a_damaged_hash_fits_nothing(passwords: Passwords, stored: str) -> None:
    assert not await passwords.check(stored, "correct horse")


async def test_more_than_the_queue_holds_is_refused_and_places_come_back(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def slow(_stored: str, _data: bytes) -> bool:
        return gate.wait(30)

    monkeypatch.setattr(passwords, "_fits", slow)
    waiting = [asyncio.create_task(passwords.check("x", "y")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(HashingBusy) as caught:
        await passwords.check("x", "y")
    assert (caught.value.status, caught.value.retry_after) == (429, 1)
    assert passwords.pending == passwords.places == 3
    # A caller that goes away does not free the thread it has occupied.
    waiting[0].cancel()
    await asyncio.sleep(0)
    with pytest.raises(HashingBusy):
        await passwords.check("x", "y")
    gate.set()
    await asyncio.gather(*waiting[1:])
    assert await passwords.check("x", "y")
    async with asyncio.timeout(30):
        while passwords.pending:  # The thread whose caller went away ends when it ends.
            await asyncio.sleep(0.001)


async def test_the_loop_turns_while_passwords_are_hashed(passwords: Passwords) -> None:
    task = asyncio.create_task(passwords.hash("correct horse"))
    turns = 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 1


def test_the_default_profile_is_the_one_of_rfc_9106() -> None:
    """RFC 9106 §4, second recommended option."""
    assert load_settings().password_profile == "rfc9106-low-memory"
    assert PROFILES["rfc9106-low-memory"] == Parameters(
        type=Type.ID, version=19, salt_len=16, hash_len=32, time_cost=3, memory_cost=64 * 1024, parallelism=4
    )
    assert all(parameters.type is Type.ID for parameters in PROFILES.values())
