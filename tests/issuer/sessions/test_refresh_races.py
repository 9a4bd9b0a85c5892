"""Refresh tokens under pressure, on both databases.

``OSTRAKA_TEST_REFRESH_ROUNDS`` makes it longer than the suite has time for: 1000 is a hundred thousand refreshes.
"""

import asyncio
import itertools
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select, update

from ostraka_consumers.trust.cutoffs import Minted, Moment
from ostraka_issuer.accounts.users import UserChange
from ostraka_issuer.errors import GrantRefused
from ostraka_issuer.limits import SESSION_IDLE
from ostraka_issuer.sessions import family, refresh
from ostraka_issuer.sessions.family import Standing
from ostraka_issuer.sessions.service import Issued
from ostraka_issuer.store import Store
from ostraka_issuer.store.tables import CLIENTS, INTENTS, SESSIONS
from ostraka_schemas.events import SessionRevoked
from ostraka_schemas.records import Position
from tests.issuer.world import PASSWORD, World, claims_of

ROUNDS = int(os.environ.get("OSTRAKA_TEST_REFRESH_ROUNDS", "2"))
AT_ONCE = 100
SEEDS = 12
KINDS = ("session", "subject", "client", "everyone", "disable", "password")


async def end(world: World, kind: str, issued: Issued) -> None:
    """Cut off, in one of the ways there are."""
    user = (await world.accounts.find("alice")).id
    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "session": lambda: world.revocations.session(issued.session_id),
        "subject": lambda: world.revocations.subject(user),
        "client": lambda: world.revocations.client("ostraka-cli"),
        "everyone": world.revocations.everyone,
        "disable": lambda: world.accounts.change(user, UserChange(disabled=True)),
        "password": lambda: world.accounts.change(user, UserChange(password="another good password")),
    }
    await ways[kind]()


@pytest.mark.timeout(180 + 2 * ROUNDS)
async def test_a_hundred_at_once_are_one_new_generation_each_time(any_world: World) -> None:
    await any_world.add()
    issued = await any_world.sessions.login("alice", PASSWORD)
    for generation in range(2, ROUNDS + 2):
        refreshed = await asyncio.gather(*(any_world.sessions.refresh(issued.refresh_token) for _ in range(AT_ONCE)))
        assert len({each.refresh_token for each in refreshed}) == 1
        assert (await any_world.session(issued.session_id)).generation == generation
        issued = refreshed[0]
        any_world.clock.advance(0.01)


@pytest.mark.parametrize("kind", KINDS)
async def test_after_the_commit_of_a_cut_off_nothing_is_minted(any_world: World, kind: str) -> None:
    """Whatever the interleaving: each token is older than the cut-off, or there is none."""
    await any_world.add()
    for seed in range(SEEDS):
        chance = random.Random(f"{kind} {seed}")
        issued = await any_world.sessions.login("alice", PASSWORD)
        minted: list[Issued] = []
        committed = asyncio.Event()

        async def refresher(
            chance: random.Random, committed: asyncio.Event, issued: Issued, into: list[Issued]
        ) -> None:
            for _ in range(chance.randint(0, 8)):
                await asyncio.sleep(0)
            late = committed.is_set()
            try:
                new = await any_world.sessions.refresh(issued.refresh_token)
            except GrantRefused:
                return
            assert not late, "minted after the commit"
            into.append(new)

        async def cut_off(chance: random.Random, committed: asyncio.Event, issued: Issued) -> None:
            for _ in range(chance.randint(0, 40)):
                await asyncio.sleep(0)
            await end(any_world, kind, issued)
            committed.set()

        jobs = [refresher(chance, committed, issued, minted) for _ in range(6)]
        await asyncio.gather(*jobs, cut_off(chance, committed, issued))
        with pytest.raises(GrantRefused):
            await any_world.sessions.refresh(issued.refresh_token)
        cut_off_at = await any_world.sequence()
        assert all(claims_of(new.access_token)["fv"] < [1, cut_off_at] for new in minted)
        await restore(any_world, kind)


async def restore(world: World, kind: str) -> None:
    """Let alice log in again."""
    user = (await world.accounts.find("alice")).id
    if kind == "disable":
        await world.accounts.change(user, UserChange(disabled=False))
    if kind == "password":
        await world.accounts.change(user, UserChange(password=PASSWORD))
        await world.sequence()


@contextmanager
def between_the_two_statements(happening: Callable[[], Awaitable[object]]) -> Iterator[None]:
    """Once, after a refresh has read its session and before it goes on."""
    waiting = [happening]

    async def look(store: Store, session_id: str) -> Standing | None:
        standing = await family.look(store, session_id)
        if waiting:
            await waiting.pop()()
        return standing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refresh, "look", look)
        yield
    assert not waiting


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_read_before_a_cut_off_is_not_minted_after_it(any_world: World, kind: str) -> None:
    await any_world.add()
    issued = await any_world.sessions.login("alice", PASSWORD)
    with between_the_two_statements(lambda: end(any_world, kind, issued)), pytest.raises(GrantRefused, match="ended"):
        await any_world.sessions.refresh(issued.refresh_token)
    assert (await any_world.session(issued.session_id)).generation == 1


async def test_a_user_who_is_gone_between_the_two_statements_gets_nothing(any_world: World) -> None:
    user = await any_world.add()
    issued = await any_world.sessions.login("alice", PASSWORD)
    gone = between_the_two_statements(lambda: any_world.accounts.delete(user.id))
    with gone, pytest.raises(GrantRefused, match="ended"):
        await any_world.sessions.refresh(issued.refresh_token)


async def test_whoever_was_slower_looks_again_and_gets_the_same_successor(any_world: World) -> None:
    await any_world.add()
    issued = await any_world.sessions.login("alice", PASSWORD)
    faster: list[Issued] = []

    async def overtake() -> None:
        faster.append(await any_world.sessions.refresh(issued.refresh_token))

    with between_the_two_statements(overtake):
        slower = await any_world.sessions.refresh(issued.refresh_token)
    assert slower.refresh_token == faster[0].refresh_token
    assert (await any_world.session(issued.session_id)).generation == 2


async def test_a_permission_that_was_taken_meanwhile_is_taken_from_the_new_token_by_the_feed(any_world: World) -> None:
    """The token says what was true when it was read, and that it was read then."""
    user = await any_world.add()
    issued = await any_world.sessions.login("alice", PASSWORD)
    less = UserChange(withdraw=("orders:create",))
    with between_the_two_statements(lambda: any_world.accounts.change(user.id, less)):
        claims = claims_of((await any_world.sessions.refresh(issued.refresh_token)).access_token)
    assert "orders:create" in claims["permissions"]
    assert claims["fv"] < [1, await any_world.sequence()]


async def test_an_old_session_that_was_used_after_all_is_not_ended_as_expired(any_world: World) -> None:
    await any_world.add()
    issued = await any_world.sessions.login("alice", PASSWORD)
    any_world.clock.advance(SESSION_IDLE + 1)

    async def used_in_time() -> None:
        async with any_world.store.write() as tx:
            await tx.execute(update(SESSIONS).values(generation=2, used_at=any_world.clock.now().wall))

    with between_the_two_statements(used_in_time), pytest.raises(GrantRefused, match="expired"):
        await any_world.sessions.refresh(issued.refresh_token)
    assert (await any_world.session(issued.session_id)).ended_at is None


async def test_a_refresh_asks_the_database_once_and_changes_one_row(
    any_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it costs is the number of statements; a transaction would be two more."""
    await any_world.add()
    issued = await any_world.sessions.login("alice", PASSWORD)

    def never(*_: object) -> None:
        raise AssertionError("another way to the database")

    for way in ("read", "write", "announce", "work"):
        monkeypatch.setattr(type(any_world.store), way, never)
    for name in ("ask", "apply"):
        seen = _counted(any_world.store, name, monkeypatch)
        issued = await any_world.sessions.refresh(issued.refresh_token)
        assert seen == [name]


def _counted(store: Store, name: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done, seen = getattr(store, name), []

    async def counted(statement: object, values: object) -> object:
        seen.append(name)
        return await done(statement, values)

    monkeypatch.setattr(store, name, counted)
    return seen


WHEN = ("never", "before", "after")


@pytest.mark.parametrize("when", list(itertools.product(WHEN, repeat=3)), ids="-".join)
async def test_of_several_cut_offs_in_one_second_the_latest_decides(
    any_world: World, when: tuple[str, str, str]
) -> None:
    """Subject, client and everyone, each never, before or after the login, while the clock stands still."""
    await any_world.add()
    cut_offs: list[Callable[[], Awaitable[object]]] = [
        lambda: any_world.revocations.subject(username="alice"),
        lambda: any_world.revocations.client("ostraka-cli"),
        any_world.revocations.everyone,
    ]
    for cut_off, at in zip(cut_offs, when, strict=True):
        if at == "before":
            await cut_off()
    await any_world.sequence()
    issued = await any_world.sessions.login("alice", PASSWORD)
    for cut_off, at in zip(cut_offs, when, strict=True):
        if at == "after":
            await cut_off()
    await any_world.sequence()
    if "after" in when:
        with pytest.raises(GrantRefused):
            await any_world.sessions.refresh(issued.refresh_token)
    else:
        await any_world.sessions.refresh(issued.refresh_token)
    assert await is_dead(any_world, issued) is ("after" in when)


async def is_dead(world: World, issued: Issued) -> bool:
    """What a verifier that has applied everything makes of an access token; every cut-off here is about its holder."""
    claims = claims_of(issued.access_token)
    minted = Minted(Position(*claims["fv"]), claims["iat"])
    async with world.store.read() as tx:
        of_feed = ("urn:ostraka:event:key-set", "urn:ostraka:event:root")
        rows = (await tx.execute(select(INTENTS).where(INTENTS.c.event_uri.not_in(of_feed)))).all()
    moments = [Moment(Position(1, row.seq), int(row.committed_at)) for row in rows]
    return any(minted.before(moment) for moment in moments)


async def test_fifty_rotations_in_a_second_then_the_first_token(any_world: World) -> None:
    await any_world.add()
    first = issued = await any_world.sessions.login("alice", PASSWORD)
    for _ in range(50):
        issued = await any_world.sessions.refresh(issued.refresh_token)
    with pytest.raises(GrantRefused, match="used before"):
        await any_world.sessions.refresh(first.refresh_token)
    with pytest.raises(GrantRefused, match="ended"):
        await any_world.sessions.refresh(issued.refresh_token)
    assert (await any_world.newest_intent()).event_uri == SessionRevoked.uri


async def test_many_who_find_a_reuse_at_once_announce_it_once(any_world: World) -> None:
    await any_world.add()
    first = await any_world.sessions.login("alice", PASSWORD)
    second = await any_world.sessions.refresh(first.refresh_token)
    await any_world.sessions.refresh(second.refresh_token)
    before = len(await any_world.intents())
    done = await asyncio.gather(
        *(any_world.sessions.refresh(first.refresh_token) for _ in range(20)), return_exceptions=True
    )
    assert all(isinstance(error, GrantRefused) for error in done)
    assert len(await any_world.intents()) == before + 1


async def test_rotate_restart_reuse(any_world: World) -> None:
    """Two processes, one database: what the first has rotated the second knows."""
    await any_world.add()
    first = await any_world.sessions.login("alice", PASSWORD)
    second = await any_world.sessions.refresh(first.refresh_token)
    restarted = await World.open(any_world.settings, any_world.clock)
    again = await restarted.sessions.refresh(first.refresh_token)
    assert again.refresh_token == second.refresh_token, "within the grace a restart changes nothing"
    any_world.clock.advance(11)
    with pytest.raises(GrantRefused, match="used before"):
        await restarted.sessions.refresh(first.refresh_token)
    with pytest.raises(GrantRefused, match="ended"):
        await any_world.sessions.refresh(second.refresh_token)
    await restarted.close()


async def test_a_client_that_is_disabled_or_gone_refreshes_no_more(any_world: World) -> None:
    await any_world.add()
    issued = await any_world.sessions.login("alice", PASSWORD)
    async with any_world.store.write() as tx:
        await tx.execute(update(CLIENTS).values(disabled=True))
    with pytest.raises(GrantRefused, match="ended"):
        await any_world.sessions.refresh(issued.refresh_token)
