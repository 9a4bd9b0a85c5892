"""Several processes on one set of keys: each is a store, a key store and token keys of its own on the same database."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from ostraka_consumers.clock import ManualClock
from ostraka_issuer.errors import Conflict, KeyStoreError, SigningUnavailable
from ostraka_issuer.keys.keeper import KeyKeeper
from ostraka_issuer.keys.sealed import KeyUse
from ostraka_issuer.provision import create_home
from tests.issuer.world import World, new_settings


@dataclass
class Replicas:
    first: World
    second: World

    @property
    def both(self) -> Sequence[World]:
        return self.first, self.second

    def pass_time(self, seconds: float) -> None:
        """The clock is theirs together."""
        self.first.clock.advance(seconds)


@pytest_asyncio.fixture
async def replicas(tmp_path: Path, store_url: str | None) -> AsyncIterator[Replicas]:
    settings, clock = new_settings(tmp_path, database=store_url, key_store="database"), ManualClock()
    await create_home(settings, clock=clock)
    first, second = await World.open(settings, clock), await World.open(settings, clock)
    yield Replicas(first, second)
    await second.close()
    await first.close()


async def signing(world: World) -> str:
    async with world.store.read() as tx:
        return (await world.keys.signer(tx)).kid


async def live(world: World, *steps: float) -> None:
    for seconds in steps:
        await world.sequence()
        world.clock.advance(seconds)
        await world.keys.keep()


async def states(world: World) -> dict[str, str]:
    return {row.kid: row.state for row in await world.keys.rows()}


def held(world: World) -> set[str]:
    """The private keys in the memory of a process."""
    return set(world.keys._opened._open)


async def test_what_one_makes_the_other_opens_when_it_is_needed(replicas: Replicas) -> None:
    first, second = replicas.both
    await second.keys.open()
    change = await first.keys.rotate(lead=1)
    await first.sequence()
    replicas.pass_time(2)
    assert await first.keys.keep() == 0
    await first.sequence()
    assert change.kid not in held(second)
    assert await signing(second) == await signing(first) == change.kid
    signature = (await second.keys.private(change.kid)).sign(b"x")
    assert (await first.keys.private(change.kid)).public.verifies(b"x", signature)


async def test_what_one_calls_compromised_the_other_forgets_with_its_next_look(replicas: Replicas) -> None:
    first, second = replicas.both
    kid = await signing(second)
    assert kid in held(second)
    change = await first.keys.compromise(kid)
    assert kid not in held(first)
    with pytest.raises(SigningUnavailable):
        await signing(second)
    assert kid not in held(second)
    await first.sequence()
    assert change.successor is not None
    assert await signing(second) == change.successor.kid


async def test_a_process_that_nobody_asks_for_tokens_forgets_by_itself(replicas: Replicas) -> None:
    first, second = replicas.both
    kid = await signing(second)
    keeper = KeyKeeper(second.keys, here=lambda: False)
    await keeper.start()
    try:
        change = await first.keys.compromise(kid)
        assert change.successor is not None
        async with asyncio.timeout(30):
            while held(second) != {change.successor.kid}:
                keeper.nudge()
                await asyncio.sleep(0.01)
    finally:
        await keeper.stop()
    assert (await states(second)).keys() == {kid, change.successor.kid}, "it took no step itself"


async def test_a_destroyed_key_is_gone_everywhere(replicas: Replicas) -> None:
    first, second = replicas.both
    old = await signing(second)
    await first.keys.rotate(lead=1)
    for seconds in (2, 400):
        await first.sequence()
        replicas.pass_time(seconds)
        while await first.keys.keep() == 0:
            await first.sequence()
    assert (await states(second))[old] == "destroyed"
    assert old not in held(second) | held(first)
    for world in replicas.both:
        with pytest.raises(KeyStoreError, match="cannot read"):
            await world.keys.private(old)


async def test_what_was_left_behind_by_a_crash_another_process_removes(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows say destroyed, and the process died before it removed the key itself."""
    first, second = replicas.both
    old = await signing(first)

    class Killed(BaseException):
        pass

    async def dies(_use: KeyUse, _kid: str) -> None:
        raise Killed

    await first.keys.rotate(lead=1)
    with monkeypatch.context() as patch:
        patch.setattr(first.keys._opened._store, "remove", dies)
        with pytest.raises(Killed):
            await live(first, 2, 400, 400)
    assert (await states(second))[old] == "destroyed"
    assert old in await second.keys._opened._store.names(KeyUse.TOKEN)
    await second.sequence()
    await second.keys.keep()
    assert old not in await second.keys._opened._store.names(KeyUse.TOKEN)


async def test_a_step_that_is_due_for_both_is_taken_once(replicas: Replicas) -> None:
    first, second = replicas.both
    change = await first.keys.rotate(lead=1)
    await first.sequence()
    replicas.pass_time(2)
    before = len(await first.intents())
    assert await asyncio.gather(*(world.keys.keep() for world in replicas.both)) == [0, 0]
    assert len(await first.intents()) == before + 1
    assert (await states(second))[change.kid] == "active"
    replicas.pass_time(1_000)
    await first.sequence()
    replicas.pass_time(1_000)
    before = len(await first.intents())
    await asyncio.gather(*(world.keys.keep() for world in replicas.both))
    assert len(await first.intents()) == before + 1
    assert sorted((await states(second)).values()) == ["active", "destroyed"]


async def test_a_step_that_was_due_is_not_taken_again_after_another_has(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow one found the step due, then the other took it: it would deactivate the key that has just come."""
    first, second = replicas.both
    change = await first.keys.rotate(lead=1)
    await first.sequence()
    replicas.pass_time(2)
    rows = await second.keys.rows()

    async def as_before() -> object:
        return rows

    assert await first.keys.keep() == 0
    with monkeypatch.context() as patch:
        patch.setattr(second.keys, "rows", as_before)
        assert await second.keys.keep() == 0
    assert (await states(first))[change.kid] == "active"


async def test_both_make_a_successor_and_one_is_published(replicas: Replicas) -> None:
    first, second = replicas.both
    (row,) = await first.keys.rows()
    replicas.pass_time(row.exp - 310 - 30 - first.clock.now().wall)
    await asyncio.gather(*(world.keys.keep() for world in replicas.both))
    assert sorted((await states(second)).values()) == ["active", "pre-activation"]
    stored = await first.keys._opened._store.names(KeyUse.TOKEN)
    assert set(stored) == set(await states(second)), "the key of the one who came too late is gone"


async def test_rotations_at_the_same_time_publish_one_successor(replicas: Replicas) -> None:
    results = await asyncio.gather(
        *(world.keys.rotate(lead=60) for world in replicas.both for _ in range(4)), return_exceptions=True
    )
    assert [
        result for result in results if isinstance(result, BaseException) and not isinstance(result, Conflict)
    ] == []
    found = await states(replicas.first)
    assert sorted(found.values()) == ["active", "pre-activation"]
    assert set(await replicas.second.keys._opened._store.names(KeyUse.TOKEN)) == set(found)


async def test_a_key_that_is_compromised_while_it_retires_brings_no_second_active_one(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found active, it was deactivated by the other process before the transaction began."""
    first, second = replicas.both
    old = await signing(first)
    change = await first.keys.rotate(lead=1)
    await first.sequence()
    replicas.pass_time(2)
    make = second.keys._opened.make

    async def slowly(algorithm: object) -> object:
        assert await first.keys.keep() == 0
        return await make(algorithm)  # type: ignore[arg-type]

    monkeypatch.setattr(second.keys._opened, "make", slowly)
    compromised = await second.keys.compromise(old)
    assert compromised.successor is None
    assert await states(first) == {old: "compromised", change.kid: "active"}
    assert set(await first.keys._opened._store.names(KeyUse.TOKEN)) == {old, change.kid}


async def test_two_compromises_of_one_key_bring_one_successor(replicas: Replicas) -> None:
    kid = await signing(replicas.first)
    results = await asyncio.gather(*(world.keys.compromise(kid) for world in replicas.both), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "KeyChange"]
    found = await states(replicas.first)
    assert sorted(found.values()) == ["active", "compromised"]
    assert set(await replicas.first.keys._opened._store.names(KeyUse.TOKEN)) == set(found)


async def test_tokens_of_either_are_of_one_key_set(replicas: Replicas) -> None:
    for world in replicas.both:
        await world.keys.open()
    first, second = replicas.both
    await first.add("alice")
    tokens = [await world.sessions.login("alice", "correct horse battery") for world in replicas.both]
    again = await second.sessions.refresh(tokens[0].refresh_token)
    assert again.access_token
