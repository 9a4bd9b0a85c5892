"""The token keys at work: files, rows, events and who signs."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from ostraka_issuer.errors import Conflict, KeyStoreError, NotFound, SigningUnavailable
from ostraka_issuer.keys.keeper import KeyKeeper
from ostraka_issuer.keys.sealed import KeyUse
from ostraka_issuer.store.tables import TOKEN_KEYS
from ostraka_schemas.events import KeySetChanged
from tests.issuer.world import World, kid_of


async def states(world: World) -> list[str]:
    return [row.state for row in await world.keys.rows()]


async def signing(world: World) -> str:
    async with world.store.read() as tx:
        return (await world.keys.signer(tx)).kid


async def announced(world: World) -> dict[str, str]:
    """The newest key set that was committed for the feed."""
    intent = await world.newest_intent()
    assert intent.event_uri == KeySetChanged.uri
    event = KeySetChanged.model_validate(intent.event)
    return {entry.key().kid: entry.state for entry in event.keys}


async def rotate_fully(world: World) -> str:
    change = await world.keys.rotate()
    await world.sequence()
    world.clock.advance(62)
    assert await world.keys.keep() == 0
    await world.sequence()
    return change.kid


async def test_a_new_home_has_one_key_that_signs_once_it_is_announced(tmp_path: Path) -> None:
    world = await World.make(tmp_path)
    (first,) = await world.keys.rows()
    assert (first.state, first.announced_at) == ("active", world.clock.now().wall)
    assert await signing(world) == first.kid
    assert world.directory.names(KeyUse.TOKEN) == (first.kid,)
    await world.close()


async def test_rotation_step_by_step(world: World) -> None:
    first = await signing(world)
    change = await world.keys.rotate(lead=60)
    assert await announced(world) == {first: "active", change.kid: "pre-activation"}
    assert change.successor is not None
    assert change.successor.nbf == int(world.clock.now().wall) + 61
    assert world.directory.names(KeyUse.TOKEN) == tuple(sorted((first, change.kid)))
    await world.sequence()
    assert await signing(world) == first

    world.clock.advance(60)
    assert 0 < await world.keys.keep() <= 1
    world.clock.advance(1)
    assert await world.keys.keep() == 0
    assert await announced(world) == {first: "deactivated", change.kid: "active"}
    assert await signing(world) == first, "not before the feed has said so"
    await world.sequence()
    assert await signing(world) == change.kid

    world.clock.advance(319)
    assert await world.keys.keep() > 0
    world.clock.advance(1)
    assert await world.keys.keep() == 0
    assert await announced(world) == {change.kid: "active"}
    assert await states(world) == ["destroyed", "active"]
    assert world.directory.names(KeyUse.TOKEN) == (change.kid,)


async def test_a_successor_the_bus_does_not_have_is_not_used(world: World) -> None:
    """A broker that is away delays a rotation; no verifier meets a key it cannot know."""
    first = await signing(world)
    await world.keys.rotate(lead=1)
    await world.sequence(published=False)
    world.clock.advance(500)
    assert await world.keys.keep() > 0
    assert await signing(world) == first
    await world.sequence(published=True)
    assert await world.keys.keep() == 0


async def test_rotating_again_reschedules_the_successor_that_waits(world: World) -> None:
    slow = await world.keys.rotate(lead=3_600)
    world.clock.advance(100)
    fast = await world.keys.rotate(lead=10)
    assert fast.kid == slow.kid
    assert fast.txn != slow.txn
    assert await states(world) == ["active", "pre-activation"]
    await world.sequence()
    world.clock.advance(2)
    assert await world.keys.keep() == 0
    assert await states(world) == ["deactivated", "active"]


async def test_parallel_rotations_make_one_successor(world: World) -> None:
    changes = await asyncio.gather(*(world.keys.rotate() for _ in range(10)))
    assert len({change.kid for change in changes}) == 1
    assert await states(world) == ["active", "pre-activation"]


async def test_a_key_set_never_grows_past_what_the_root_allows(world: World) -> None:
    for _ in range(15):
        await rotate_fully(world)
    assert len(await states(world)) == 16
    with pytest.raises(Conflict, match="16"):
        await world.keys.rotate()
    # A leak cannot wait: the key set makes room.
    await world.keys.compromise(await signing(world))
    assert len(await announced(world)) == 16


async def test_a_compromised_active_key_is_replaced_in_the_same_event(world: World) -> None:
    first = await signing(world)
    change = await world.keys.compromise(first)
    assert change.successor is not None
    assert await announced(world) == {first: "compromised", change.successor.kid: "active"}
    with pytest.raises(SigningUnavailable):
        await signing(world)
    await world.sequence()
    assert await signing(world) == change.successor.kid
    with pytest.raises(Conflict):
        await world.keys.compromise(first)


async def test_compromising_another_key_does_not_disturb_the_active_one(world: World) -> None:
    first = await signing(world)
    waiting = await world.keys.rotate()
    change = await world.keys.compromise(waiting.kid)
    assert change.successor is None
    assert await announced(world) == {first: "active", waiting.kid: "compromised"}
    assert await signing(world) == first
    with pytest.raises(NotFound):
        await world.keys.compromise("nobody")


async def test_the_keeper_makes_a_successor_in_time(world: World) -> None:
    (first,) = await world.keys.rows()
    world.clock.advance(first.exp - 310 - 60 - world.clock.now().wall - 1)
    assert await world.keys.keep() > 0
    world.clock.advance(1)
    assert await world.keys.keep() == 0
    assert await states(world) == ["active", "pre-activation"]
    await world.sequence()
    (_, second) = await world.keys.rows()
    world.clock.advance(61)
    assert await world.keys.keep() == 0
    await world.sequence()
    assert await signing(world) == second.kid


async def test_after_years_of_sleep_the_issuer_finds_its_feet(world: World) -> None:
    world.clock.advance(400 * 24 * 3_600)
    with pytest.raises(SigningUnavailable):
        await signing(world)
    assert await world.keys.keep() == 0
    await world.sequence()
    world.clock.advance(2)
    assert await world.keys.keep() == 0
    await world.sequence()
    assert await signing(world)


async def test_steps_do_not_depend_on_what_a_process_remembers(world: World) -> None:
    """Each step is taken by another process."""
    first = await signing(world)
    change = await world.keys.rotate(lead=10)

    async def restarted() -> World:
        again = await World.open(world.settings, world.clock)
        await again.keys.open()
        return again

    second = await restarted()
    world.clock.advance(11)
    assert await second.keys.keep() == 0
    await second.close()
    third = await restarted()
    assert await signing(third) == change.kid
    assert (await third.keys.private(first)).kid == first
    world.clock.advance(1_000)
    assert await third.keys.keep() == 0
    await third.close()
    assert world.directory.names(KeyUse.TOKEN) == (change.kid,)


async def test_a_key_file_left_behind_by_a_crash_goes_at_the_next_start(world: World) -> None:
    (first,) = await world.keys.rows()
    change = await world.keys.rotate()
    async with world.store.write() as tx:
        await tx.execute(update(TOKEN_KEYS).where(TOKEN_KEYS.c.kid == first.kid).values(state="destroyed"))
    again = await World.open(world.settings, world.clock)
    await again.keys.open()
    assert world.directory.names(KeyUse.TOKEN) == (change.kid,)
    await again.close()


async def test_a_missing_key_file_shows_at_the_start(world: World) -> None:
    (first,) = await world.keys.rows()
    world.directory.remove(KeyUse.TOKEN, first.kid)
    with pytest.raises(KeyStoreError, match="cannot read"):
        await world.keys.open()


async def test_tokens_of_both_keys_are_minted_during_a_rotation(world: World) -> None:
    await world.add("alice")
    old = await world.sessions.login("alice", "correct horse battery")
    change = await world.keys.rotate(lead=1)
    await world.sequence()
    world.clock.advance(2)
    await world.keys.keep()
    between = await world.sessions.refresh(old.refresh_token)
    await world.sequence()
    new = await world.sessions.refresh(between.refresh_token)
    assert kid_of(old.access_token) == kid_of(between.access_token) != kid_of(new.access_token) == change.kid


# --- the keeper's task -----------------------------------------------------------------------------------------------


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


class Clockwork:
    """Keys whose steps are told in advance: seconds to wait, or an error."""

    def __init__(self, *steps: float | Exception) -> None:
        self.steps = list(steps)
        self.taken = 0

    async def keep(self) -> float:
        self.taken += 1
        step = self.steps.pop(0) if self.steps else 1_000.0
        if isinstance(step, Exception):
            raise step
        return step


async def test_the_keeper_takes_step_after_step_and_waits_between() -> None:
    work = Clockwork(0.0, 0.0, 0.001)
    keeper = KeyKeeper(work)  # type: ignore[arg-type]
    await keeper.start()
    await until(lambda: work.taken == 4)
    keeper.nudge()
    await until(lambda: work.taken == 5)
    assert keeper.running
    await keeper.stop()
    await keeper.stop()
    stopped = keeper.running
    assert not stopped


async def test_the_keeper_survives_errors(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("ostraka_issuer.keys.keeper.KEY_KEEPER_RETRY", 0.001)
    work = Clockwork(KeyStoreError("disk"), Conflict("full"), 0.0)
    keeper = KeyKeeper(work)  # type: ignore[arg-type]
    await keeper.start()
    await until(lambda: work.taken == 4)
    await keeper.stop()
    assert "disk" in caplog.text
