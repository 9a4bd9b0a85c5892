"""Whatever happens when: no verifier is shown a token it cannot know, no good one is refused, none outlives its key."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ostraka_issuer.errors import Conflict
from ostraka_issuer.keys.database import DatabaseKeyStore
from ostraka_issuer.keys.files import KeyDirectory
from ostraka_issuer.keys.stores import DirectoryKeyStore, KeyStore
from ostraka_issuer.keys.vault import Vault
from ostraka_issuer.settings import load_settings
from ostraka_issuer.store import Store, migrate, open_store
from tests.issuer.keys.stage import POLICY, Stage, curtain

VAULT = Vault(bytes(32))
Play = Callable[[Callable[[Stage], Awaitable[None]]], None]

_SLOW: Final[dict[str, Any]] = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    # Each step is a transaction on a disk: a failing story is short enough as it was found.
    "phases": [Phase.explicit, Phase.generate],
}
MANY, LESS = settings(max_examples=25, **_SLOW), settings(max_examples=4, **_SLOW)

MOMENTS = st.one_of(st.integers(0, 30), st.integers(100, 700), st.integers(1_500, 2_500), st.integers(5_000, 25_000))
PROCESS = st.integers(0, 1)
ACTIONS = st.one_of(
    st.tuples(st.just("pass"), MOMENTS),
    st.tuples(st.just("keep"), PROCESS),
    st.tuples(st.just("keep"), PROCESS),
    st.tuples(st.just("rotate"), PROCESS, st.sampled_from([0, 1, 60, 2_000, 10_000])),
    st.tuples(st.just("compromise"), PROCESS, st.integers(0, 5)),
    st.tuples(st.just("place")),
    st.tuples(st.just("publish")),
    st.tuples(st.just("mint"), PROCESS),
    st.tuples(st.just("mint"), PROCESS),
    st.tuples(st.just("crash"), PROCESS),
    st.tuples(st.just("fails"), st.sampled_from(["before", "after"])),
)


@pytest.fixture(params=["directory", "database"])
def play(request: pytest.FixtureRequest, store_url: str | None, tmp_path: Path) -> Play:
    """Plays a script, each time on an empty stage."""
    if request.param == "directory" and store_url is not None:
        pytest.skip("a directory does not care for the database")
    given_settings = load_settings(home=tmp_path, database=store_url)
    migrate(given_settings)
    counted = iter(range(1_000_000))

    def keys_of(store: Store) -> KeyStore:
        if request.param == "database":
            return DatabaseKeyStore(store, VAULT)
        directory = KeyDirectory(tmp_path / f"keys-{next(counted)}", VAULT)
        directory.create()
        return DirectoryKeyStore(directory)

    def run(script: Callable[[Stage], Awaitable[None]]) -> None:
        async def go() -> None:
            store = open_store(given_settings)
            try:
                async with curtain(store, keys_of(store)) as stage:
                    await script(stage)
            finally:
                await store.close()

        asyncio.run(go())

    return run


async def act(stage: Stage, action: tuple[Any, ...]) -> None:
    word, *values = action
    if word == "pass":
        stage.clock.advance(values[0])
    elif word == "fails":
        stage.keys.fails = values[0]
    else:
        await getattr(stage, word)(*values)


async def settle(stage: Stage) -> None:
    """A while in which everything works again."""
    stage.keys.fails = None
    for _ in range(30):
        await stage.place()
        await stage.publish()
        pause = await stage.keep(0)
        await stage.look()
        stage.clock.advance(min(60.0, 60.0 if pause is None else pause))


@MANY
@given(script=st.lists(ACTIONS, max_size=40), late=st.sampled_from([0, 600]))
def test_at_any_moment_of_any_story(play: Play, script: list[tuple[Any, ...]], late: int) -> None:
    async def story(stage: Stage) -> None:
        for process in stage.processes:
            process.follow(replace(POLICY, late=late))
        stage.policy = replace(POLICY, late=late)
        for action in script:
            await act(stage, action)
            await stage.look()
        await settle(stage)
        assert await stage.mint(0) is not None, "after all of it somebody must be able to sign"
        await stage.look()

    play(story)


EMERGENCIES = st.dictionaries(
    st.integers(0, 59),
    st.one_of(
        st.tuples(st.just("rotate"), PROCESS, st.just(60)),
        st.tuples(st.just("compromise"), PROCESS, st.integers(0, 5)),
        st.tuples(st.just("crash"), PROCESS),
    ),
    max_size=5,
)


@LESS
@given(emergencies=EMERGENCIES)
def test_while_the_keeper_is_awake_there_is_always_a_key_that_signs(
    play: Play, emergencies: dict[int, tuple[Any, ...]]
) -> None:
    """Through more than a whole life of a key: rotations by time and by hand, leaks, restarts."""

    async def story(stage: Stage) -> None:
        signers = set()
        for moment in range(60):
            stage.clock.advance(400)
            if moment in emergencies:
                await act(stage, emergencies[moment])
            await keep_up(stage, moment % 2)
            token = await stage.mint(moment % 2)
            assert token is not None, f"nobody signs at moment {moment}"
            signers.add(token.kid)
            await stage.look()
        assert len(signers) >= 2, "the schedule alone brings a new one"

    play(story)


async def keep_up(stage: Stage, process: int) -> None:
    """Everything that is due, and the feed says so."""
    for _ in range(10):
        await stage.place()
        await stage.publish()
        if await stage.keep(process) != 0:
            return
    raise AssertionError("there is always one step more")


async def test_a_full_key_set_is_said_and_nothing_is_left_behind(any_store: Store) -> None:
    async with curtain(any_store, DatabaseKeyStore(any_store, VAULT)) as stage:
        for _ in range(POLICY.keys_max - 1):
            await stage.rotate(0, 0)
            await stage.place()
            await stage.publish()
            stage.clock.advance(2)
            assert await stage.keep(0) == 0
            await stage.place()
        with pytest.raises(Conflict, match="4 keys are published"):
            await stage.processes[1].rotate(0)
        await stage.look()
