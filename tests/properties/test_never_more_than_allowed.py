"""After any sequence of changes, no token that a verifier accepts carries more than the database allows, nor less than
it has to: held against a model of users, roles and tokens as plain sets.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostraka_issuer.accounts.roles import RoleChange
from ostraka_issuer.accounts.users import UserChange
from ostraka_issuer.errors import Conflict
from ostraka_schemas.permissions import covered_by_any, covers, overlaps
from tests.issuer.narrowed import Scene, open_scene
from tests.issuer.world import PASSWORD

T = TypeVar("T")

USERS = ("u", "v")
AT_FIRST: dict[str, set[str]] = {"u": set(), "v": {"*:r"}, "wide": {"a:*"}, "bystander": {"a:r", "b:r"}}
"""What each is granted at first, beside a role. Nothing is done to the last two but what is done to everyone."""
ROLES = ("clerk", "boss")
PATTERNS = ("a:r", "a:w", "a:*", "b:r", "*:r")
ASKED = ("a:r", "a:w", "b:r", "b:w", "a:*", "*:r")
Operation = tuple[str, ...]

OPERATIONS = st.one_of(
    st.tuples(st.sampled_from(["mint", "disable", "enable", "password", "delete"]), st.sampled_from(USERS)),
    st.tuples(st.sampled_from(["mint"]), st.sampled_from(USERS)),
    st.tuples(st.sampled_from(["grant", "withdraw"]), st.sampled_from(USERS), st.sampled_from(PATTERNS)),
    st.tuples(st.sampled_from(["assign", "unassign"]), st.sampled_from(USERS), st.sampled_from(ROLES)),
    st.tuples(st.sampled_from(["role grant", "role withdraw"]), st.sampled_from(ROLES), st.sampled_from(PATTERNS)),
    st.tuples(st.just("role delete"), st.sampled_from(ROLES)),
    st.tuples(st.just("revoke permission"), st.sampled_from(PATTERNS)),
    st.tuples(st.just("revoke subject"), st.sampled_from(USERS)),
)


@dataclass
class Person:
    permissions: set[str] = field(default_factory=set)
    roles: set[str] = field(default_factory=set)
    disabled: bool = False


@dataclass
class Token:
    """A token, and what of all that can be asked it should still allow."""

    owner: str
    text: str
    allows: set[str]


@dataclass
class Model:
    people: dict[str, Person] = field(default_factory=dict)
    roles: dict[str, set[str]] = field(default_factory=dict)
    tokens: list[Token] = field(default_factory=list)

    def effective(self, name: str) -> set[str]:
        person = self.people[name]
        return person.permissions.union(*(self.roles[role] for role in person.roles))

    def may(self, name: str) -> set[str]:
        return {each for each in ASKED if covered_by_any(self.effective(name), each)}

    def cut_off(self, name: str) -> None:
        for token in self.tokens:
            if token.owner == name:
                token.allows.clear()

    def narrow(self) -> None:
        """What nobody may any more, no token of theirs may."""
        for token in self.tokens:
            token.allows &= self.may(token.owner) if token.owner in self.people else set()

    def take(self, pattern: str) -> None:
        for held in (*(person.permissions for person in self.people.values()), *self.roles.values()):
            held -= {each for each in held if overlaps(each, pattern)}
        for token in self.tokens:
            token.allows -= {each for each in token.allows if overlaps(each, pattern)}


def _meets(pattern: str, held: set[str]) -> bool:
    return any(overlaps(each, pattern) for each in held)


class Play:
    """One sequence of changes, on the issuer and on the model. Names are its own: the feed is everybody's."""

    def __init__(self, scene: Scene, number: int) -> None:
        self.scene = scene
        self.model = Model()
        self._number = number
        self._ids: dict[str, str] = {}

    def own(self, permission: str) -> str:
        """A permission that only this play knows: ``a:r`` becomes ``a7:r7``."""
        return ":".join(part if part == "*" else f"{part}{self._number}" for part in permission.split(":"))

    def name(self, of: str) -> str:
        return f"{of}{self._number}"

    async def begin(self) -> None:
        for role in ROLES:
            await self.scene.roles.add(self.name(role), [self.own("a:r")])
            self.model.roles[role] = {"a:r"}
        for user, granted in AT_FIRST.items():
            await self._make(user, granted)
            await self.mint(user)

    async def _make(self, user: str, granted: set[str]) -> None:
        permissions = [self.own(each) for each in granted]
        made = await self.scene.user(self.name(user), *permissions, roles=(self.name("clerk"),))
        self._ids[user] = made.id
        self.model.people[user] = Person(set(granted), {"clerk"})

    async def step(self, operation: Operation) -> None:
        what, *on = operation
        kind = getattr(self, what.replace(" ", "_"))
        await kind(*on)
        self.model.narrow()
        await self.compare()

    async def compare(self) -> None:
        for user in self.model.people:
            found = await self.scene.accounts.find(self.name(user))
            assert set(found.effective) == {self.own(each) for each in self.model.effective(user)}
        for token in self.model.tokens:
            allowed = {each for each in ASKED if self.scene.allows(token.text, self.own(each))}
            assert allowed == token.allows, token.owner

    # --- what can be done --------------------------------------------------------------------------------------------

    async def mint(self, user: str) -> None:
        if user in self.model.people and not self.model.people[user].disabled:
            text = await self.scene.token(self.name(user))
            self.model.tokens.append(Token(user, text, self.model.may(user)))

    async def _change(self, user: str, **what: Any) -> bool:
        if user not in self.model.people:
            return False
        _, change = await self.scene.accounts.change(self._ids[user], UserChange(**what))
        if change.txn is not None:
            await self.scene.applied(change)
        return True

    async def grant(self, user: str, permission: str) -> None:
        if await self._change(user, grant=[self.own(permission)]):
            self.model.people[user].permissions.add(permission)

    async def withdraw(self, user: str, permission: str) -> None:
        if user not in self.model.people:
            return
        held = self.model.people[user].permissions
        by_roles = set().union(*(self.model.roles[role] for role in self.model.people[user].roles))
        gone = {each for each in held if covers(permission, each)}
        refused = _meets(permission, held - gone) or (not gone and _meets(permission, by_roles))
        with pytest.raises(Conflict) if refused else nullcontext():
            await self._change(user, withdraw=[self.own(permission)])
            held -= gone

    async def assign(self, user: str, role: str) -> None:
        if role in self.model.roles and await self._change(user, assign=[self.name(role)]):
            self.model.people[user].roles.add(role)

    async def unassign(self, user: str, role: str) -> None:
        if await self._change(user, unassign=[self.name(role)]):
            self.model.people[user].roles.discard(role)

    async def disable(self, user: str) -> None:
        if await self._change(user, disabled=True):
            self.model.people[user].disabled = True
            self.model.cut_off(user)

    async def enable(self, user: str) -> None:
        if await self._change(user, disabled=False):
            self.model.people[user].disabled = False

    async def password(self, user: str) -> None:
        if await self._change(user, password=PASSWORD):
            self.model.cut_off(user)

    async def delete(self, user: str) -> None:
        if user in self.model.people:
            await self.scene.applied(await self.scene.accounts.delete(self._ids[user]))
            self.model.cut_off(user)
            del self.model.people[user]

    async def _change_role(self, role: str, **what: Any) -> bool:
        if role not in self.model.roles:
            return False
        _, change = await self.scene.roles.change(self.name(role), RoleChange(**what))
        if change.txn is not None:
            await self.scene.applied(change)
        return True

    async def role_grant(self, role: str, permission: str) -> None:
        if await self._change_role(role, grant=[self.own(permission)]):
            self.model.roles[role].add(permission)

    async def role_withdraw(self, role: str, permission: str) -> None:
        if role not in self.model.roles:
            return
        held = self.model.roles[role]
        gone = {each for each in held if covers(permission, each)}
        with pytest.raises(Conflict) if _meets(permission, held - gone) else nullcontext():
            await self._change_role(role, withdraw=[self.own(permission)])
            held -= gone

    async def role_delete(self, role: str) -> None:
        if role in self.model.roles:
            change = await self.scene.roles.delete(self.name(role))
            if change.txn is not None:
                await self.scene.applied(change)
            del self.model.roles[role]
            for person in self.model.people.values():
                person.roles.discard(role)

    async def revoke_permission(self, permission: str) -> None:
        done = await self.scene.revocations.permission(self.own(permission))
        await self.scene.applied_txn(done.txn)
        self.model.take(permission)

    async def revoke_subject(self, user: str) -> None:
        if user in self.model.people:
            done = await self.scene.revocations.subject(username=self.name(user))
            await self.scene.applied_txn(done.txn)
            self.model.cut_off(user)


@contextmanager
def held_open(path: Path, **values: Any) -> Iterator[tuple[Scene, Callable[[Coroutine[Any, Any, T]], T]]]:
    """An issuer in an event loop of its own, and how to do something there: hypothesis waits for nobody."""
    loop = asyncio.new_event_loop()

    @asynccontextmanager
    async def scene() -> AsyncIterator[tuple[Scene, asyncio.Event]]:
        async with open_scene(path, **values) as opened:
            yield opened, asyncio.Event()

    async def hold(ready: "asyncio.Future[tuple[Scene, asyncio.Event]]") -> None:
        try:
            async with scene() as (opened, end):
                ready.set_result((opened, end))
                await end.wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    with ThreadPoolExecutor(1) as pool:
        ready: asyncio.Future[tuple[Scene, asyncio.Event]] = loop.create_future()
        running = pool.submit(loop.run_until_complete, hold(ready))

        async def opened() -> tuple[Scene, asyncio.Event]:
            return await ready

        scene_, end = asyncio.run_coroutine_threadsafe(opened(), loop).result(60)
        try:
            yield scene_, lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(60)
        finally:
            loop.call_soon_threadsafe(end.set)
            running.result(60)
            loop.close()


def test_no_token_carries_more_than_the_database_allows(tmp_path: Path, store_url: str | None) -> None:
    numbers = count(1)
    with held_open(tmp_path, database=store_url) as (scene, do):

        @given(st.lists(OPERATIONS, min_size=1, max_size=10))
        def play_all(operations: list[Operation]) -> None:
            play = Play(scene, next(numbers))

            async def all_of_it() -> None:
                await play.begin()
                for operation in operations:
                    await play.step(operation)

            do(all_of_it())

        play_all()
