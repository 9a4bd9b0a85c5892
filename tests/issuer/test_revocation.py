"""What each revocation ends in the database, and what it tells the feed, in one commit."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter
from sqlalchemy import Connection, func, select

from ostraka_issuer.errors import BadRequest, GrantRefused, NotFound, StoreUnavailable
from ostraka_issuer.revocation import Revoked
from ostraka_issuer.store import engine
from ostraka_issuer.store.tables import INTENTS
from ostraka_schemas.events import (
    IssuerCutoff,
    PermissionRevoked,
    SessionRevoked,
    TokenClaimsChange,
    TokenRevoked,
    UnknownEvent,
    read_event,
)
from ostraka_schemas.subjects import SubjectIdentifier
from tests.issuer.world import PASSWORD, World, claims_of

SUBJECTS: TypeAdapter[Any] = TypeAdapter(SubjectIdentifier)


class Companion:
    """Joins as the sequencer does, and notes when."""

    def __init__(self, *, fails: bool = False) -> None:
        self.saw: list[str] = []
        self._fails = fails

    def join(self, connection: Connection) -> Callable[[], None]:
        if self._fails:
            connection.exec_driver_sql("SELECT * FROM no_such_table")
        count = connection.execute(select(func.count()).select_from(INTENTS)).scalar_one()
        self.saw.append(f"joined with {count} intents")
        return lambda: self.saw.append("committed")


async def the_only_new_intent(world: World, done: Revoked, before: int) -> Any:
    intents = await world.intents()
    assert len(intents) == before + 1
    intent = intents[-1]
    assert intent.txn == done.txn
    assert intent.seq is None
    # What was stored is what a verifier will read.
    assert not isinstance(
        read_event(intent.event_uri, intent.event, SUBJECTS.validate_python(intent.subject)), UnknownEvent
    )
    return intent


async def alive(world: World, *session_ids: str) -> list[bool]:
    return [(await world.session(session_id)).ended_at is None for session_id in session_ids]


async def test_a_token(world: World) -> None:
    await world.add()
    issued = await world.sessions.login("alice", PASSWORD)
    claims = claims_of(issued.access_token)
    done = await world.revocations.token(claims["jti"], exp=claims["exp"], reason="lost laptop")
    intent = await the_only_new_intent(world, done, 2)
    assert intent.event_uri == TokenRevoked.uri
    assert intent.event == {"exp": claims["iat"] + 900, "reason_admin": {"en": "lost laptop"}}
    assert intent.subject == {"format": "jwt_id", "iss": world.settings.issuer, "jti": claims["jti"]}
    assert await alive(world, issued.session_id) == [True]


async def test_a_token_of_unknown_end_is_denied_as_long_as_any_token_lives(world: World) -> None:
    await world.revocations.token("some-jti")
    assert (await world.newest_intent()).event["exp"] == int(world.clock.now().wall) + 900


async def test_a_session(world: World) -> None:
    user = await world.add()
    first, second = await world.sessions.login("alice", PASSWORD), await world.sessions.login("alice", PASSWORD)
    done = await world.revocations.session(first.session_id, reason="stolen")
    intent = await the_only_new_intent(world, done, 2)
    assert (done.sessions, intent.event_uri) == (1, SessionRevoked.uri)
    assert intent.subject["user"]["sub"] == user.id
    assert intent.subject["session"]["id"] == first.session_id
    assert intent.event["event_timestamp"] == int(world.clock.now().wall)
    assert await alive(world, first.session_id, second.session_id) == [False, True]
    assert (await world.session(first.session_id)).end_reason == "stolen"
    with pytest.raises(GrantRefused):
        await world.sessions.refresh(first.refresh_token)
    await world.sessions.refresh(second.refresh_token)


async def test_a_session_that_has_ended_is_announced_again_and_keeps_its_end(world: World) -> None:
    """An operator who is not sure asks twice; the second time must not be a lie."""
    await world.add()
    issued = await world.sessions.login("alice", PASSWORD)
    await world.revocations.session(issued.session_id)
    ended_at = (await world.session(issued.session_id)).ended_at
    world.clock.advance(5)
    again = await world.revocations.session(issued.session_id)
    assert again.sessions == 0
    assert (await world.session(issued.session_id)).ended_at == ended_at
    assert (await world.newest_intent()).txn == again.txn


@pytest.mark.parametrize("by_name", [True, False])
async def test_a_subject(world: World, by_name: bool) -> None:
    alice, _ = await world.add("alice"), await world.add("bob")
    hers = [await world.sessions.login("alice", PASSWORD) for _ in range(3)]
    his = await world.sessions.login("bob", PASSWORD)
    name: dict[str, Any] = {"username": "alice"} if by_name else {"subject": alice.id}
    done = await world.revocations.subject(**name)
    intent = await the_only_new_intent(world, done, 2)
    assert (done.sessions, intent.event_uri) == (3, SessionRevoked.uri)
    assert intent.subject == {"format": "iss_sub", "iss": world.settings.issuer, "sub": alice.id}
    assert await alive(world, *(each.session_id for each in hers)) == [False] * 3
    assert await alive(world, his.session_id) == [True]


async def test_a_client(world: World) -> None:
    await world.add()
    await world.register("shop")
    shop = await world.sessions.login("alice", PASSWORD, client_id="shop")
    other = await world.sessions.login("alice", PASSWORD)
    done = await world.revocations.client("shop")
    intent = await the_only_new_intent(world, done, 2)
    assert (done.sessions, intent.event_uri) == (1, SessionRevoked.uri)
    assert intent.subject == {"format": "complex", "application": {"format": "opaque", "id": "shop"}}
    assert await alive(world, shop.session_id, other.session_id) == [False, True]


async def test_a_permission_does_not_come_back_with_the_next_refresh(world: World) -> None:
    await world.add("alice", "orders:create", "orders:read")
    bob = await world.add("bob", "orders:*", "reports:read")
    hers, his = await world.sessions.login("alice", PASSWORD), await world.sessions.login("bob", PASSWORD)
    done = await world.revocations.permission("orders:create", reason="fraud")
    intent, left = (await world.intents())[2:]
    assert (done.grants, done.sessions, intent.event_uri) == (2, 0, PermissionRevoked.uri)
    # Bob's grant was wider: what it allowed beyond is gone too, and is announced for him alone.
    assert (left.event_uri, left.subject["sub"], left.txn) == (TokenClaimsChange.uri, bob.id, done.txn)
    assert left.event["claims"] == {"permissions": ["reports:read"]}
    assert intent.event == {"permission": "orders:create", "reason_admin": {"en": "fraud"}}
    await world.sequence()
    for issued, left in ((hers, ["orders:read"]), (his, ["reports:read"])):
        again = await world.sessions.refresh(issued.refresh_token)
        assert claims_of(again.access_token)["permissions"] == left
    await world.accounts.grant("alice", ["orders:create"])
    granted = claims_of((await world.sessions.login("alice", PASSWORD)).access_token)
    assert granted["permissions"] == ["orders:create", "orders:read"]


async def test_everyone(world: World) -> None:
    await world.add("alice")
    await world.add("bob")
    sessions = [await world.sessions.login(name, PASSWORD) for name in ("alice", "bob")]
    done = await world.revocations.everyone(reason="drill")
    intent = await the_only_new_intent(world, done, 2)
    assert (done.sessions, intent.event_uri) == (2, IssuerCutoff.uri)
    assert intent.subject == {"format": "uri", "uri": world.settings.issuer}
    assert await alive(world, *(each.session_id for each in sessions)) == [False, False]


async def test_what_does_not_exist_is_said_and_nothing_is_published(world: World) -> None:
    """A typing error must not look like a cut-off."""
    for attempt in (
        world.revocations.session("A" * 22),
        world.revocations.subject("nobody"),
        world.revocations.subject(username="nobody"),
        world.revocations.client("nobody"),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert len(await world.intents()) == 2


@pytest.mark.parametrize("permission", ["", "orders", "a:b:c", "*", "orders:", "ord ers:x"])
async def test_what_is_no_permission_is_refused(world: World, permission: str) -> None:
    with pytest.raises(BadRequest):
        await world.revocations.permission(permission)
    assert len(await world.intents()) == 2


@pytest.mark.parametrize("text", ["x" * 1_025, "\ud800"])
async def test_a_reason_that_cannot_be_published_stops_everything(world: World, text: str) -> None:
    await world.add()
    issued = await world.sessions.login("alice", PASSWORD)
    with pytest.raises(BadRequest, match="reason"):
        await world.revocations.subject(username="alice", reason=text)
    assert await alive(world, issued.session_id) == [True]
    assert len(await world.intents()) == 2


@pytest.mark.parametrize("jti", ["", "x" * 256, "\ud800"])
async def test_a_jti_that_cannot_be_published_is_refused(world: World, jti: str) -> None:
    with pytest.raises(BadRequest, match="jti"):
        await world.revocations.token(jti)


async def test_a_companion_joins_before_the_commit_and_is_told_after_it(world: World) -> None:
    companion = Companion()
    world.store.companion = companion
    await world.revocations.token("a")
    assert companion.saw == ["joined with 3 intents", "committed"]
    with pytest.raises(NotFound):
        await world.revocations.session("nobody")
    assert companion.saw == ["joined with 3 intents", "committed"]


async def test_what_a_companion_could_not_do_undoes_the_revocation(world: World) -> None:
    await world.add()
    issued = await world.sessions.login("alice", PASSWORD)
    world.store.companion = Companion(fails=True)
    with pytest.raises(StoreUnavailable):
        await world.revocations.subject(username="alice")
    assert await alive(world, issued.session_id) == [True]
    assert len(await world.intents()) == 2


async def test_a_busy_database_means_no_revocation_at_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.add()
    issued = await world.sessions.login("alice", PASSWORD)
    monkeypatch.setattr(engine, "DATABASE_WAIT", 0.02)
    async with world.store.announce():
        with pytest.raises(StoreUnavailable):
            await world.revocations.subject(username="alice")
    assert await alive(world, issued.session_id) == [True]
    assert len(await world.intents()) == 2


KILLED = """
import asyncio, sys
from ostraka_consumers.clock import ManualClock
from ostraka_issuer import failpoints
from ostraka_issuer.settings import load_settings
from tests.issuer.world import World

async def main() -> None:
    settings = load_settings(home=sys.argv[1], database=sys.argv[3] or None, password_profile="unsafe-for-tests")
    world = await World.open(settings, ManualClock())
    failpoints.arm(sys.argv[2])
    await world.revocations.subject(username="alice")

asyncio.run(main())
"""


@pytest.mark.parametrize(("point", "survives"), [("revoke.before_commit", False), ("revoke.after_commit", True)])
async def test_a_kill_leaves_all_of_it_or_nothing(
    world: World, store_url: str | None, point: str, survives: bool
) -> None:
    await world.add()
    issued = await world.sessions.login("alice", PASSWORD)
    command = [sys.executable, "-c", KILLED, str(world.settings.home), point, store_url or ""]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == -9, done.stderr.decode()
    restarted = await World.open(world.settings, world.clock)
    assert await alive(restarted, issued.session_id) == [not survives]
    assert len(await restarted.intents()) == (3 if survives else 2)
    await restarted.close()


@pytest.mark.parametrize("exp", [1, 1_700_000_000])
async def test_an_end_that_is_too_early_cannot_make_a_revocation_void(world: World, exp: int) -> None:
    await world.revocations.token("some-jti", exp=exp)
    assert (await world.newest_intent()).event["exp"] == int(world.clock.now().wall) + 900
