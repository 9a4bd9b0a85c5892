"""What the steps of the story share: the running system, the people in it, and how to wait for something."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from ostraka_issuer.api_client import ApiClient
from ostraka_issuer.desk.errors import StoryError
from ostraka_issuer.desk.stack import Stack
from ostraka_schemas import base64url, strict_json

from .attempts import Attempt, Notes
from .measure import CutOff, Tally, cut_off, tally
from .traffic import Events, Holder, Streams, Web

PATIENCE: Final = 20.0
"""Seconds that a step waits for what must happen. On a quiet machine it is a matter of milliseconds."""

DRAIN: Final = 10.0
ORDER_PAUSE: Final = 0.005
OTHER_PAUSE: Final = 0.025
"""Seconds between two orders, and between two other requests, of one stream."""

_LOOK: Final = 0.002


@dataclass(slots=True)
class Person:
    """Somebody who is logged in."""

    holder: Holder
    refresh_token: str = field(repr=False)
    session_id: str

    @property
    def key_id(self) -> str:
        """Which key signed the token at hand."""
        header = self.holder.access_token.split(".", 1)[0]
        return str(strict_json.loads_object(base64url.decode_text(header))["kid"])


@dataclass(slots=True)
class World:
    """The running system and who is in it."""

    stack: Stack
    notes: Notes
    events: Events
    webs: list[Web]
    api: ApiClient
    people: dict[str, Person] = field(default_factory=dict)
    kept: dict[str, Holder] = field(default_factory=dict)
    """Old tokens, by what they are good for in the story."""

    @property
    def alice(self) -> Person:
        """The caller."""
        return self.people["alice"]

    @property
    def bob(self) -> Person:
        """Another caller."""
        return self.people["bob"]

    @property
    def operator_token(self) -> str:
        """The operator's access token."""
        return self.people["operator"].holder.access_token

    @property
    def doors(self) -> list[Events | Web]:
        """Every way to ask for something."""
        return [self.events, *self.webs]

    @property
    def services(self) -> list[str]:
        """Names of the services that decide."""
        return [door.name for door in self.doors]

    async def login(self, name: str) -> Person:
        """Log somebody in, over HTTP."""
        tokens = await self.api.login(name, self.stack.options.password)
        earlier = self.people.get(name)
        holder = Holder(name, tokens.access_token, 1 if earlier is None else earlier.holder.number + 1)
        self.people[name] = Person(holder, tokens.refresh_token, tokens.session_id)
        return self.people[name]

    async def renew(self, person: Person) -> None:
        """Trade somebody's refresh token for new tokens, over HTTP."""
        tokens = await self.api.refresh(person.refresh_token)
        person.refresh_token = tokens.refresh_token
        person.holder.renew(tokens.access_token)

    @asynccontextmanager
    async def traffic(self, *holders: Holder, events: bool = True, web: bool = True) -> AsyncIterator[None]:
        """Orders and reports by ``holders``, to every service, until the block ends; then every answer is awaited."""
        streams = Streams()
        for holder in holders:
            if events:
                streams.add(self.events.order, holder, ORDER_PAUSE)
                streams.add(self.events.report, holder, OTHER_PAUSE)
            for service in self.webs if web else ():
                streams.add(service.order, holder, ORDER_PAUSE)
                streams.add(service.report, holder, OTHER_PAUSE)
        try:
            yield
        finally:
            await streams.stop()
        await self.drained()

    async def drained(self) -> None:
        """Wait until everything that was sent has a verdict.

        Raises:
            StoryError: something was sent and nobody ever decided on it.
        """
        await until(lambda: tally(self.notes).pending == 0, "every order to be decided", DRAIN)

    def cut_offs(self, attempts: Iterable[Attempt], committed_at: float) -> list[CutOff]:
        """How every service took a revocation.

        Raises:
            StoryError: one accepted something after its first refusal.
        """
        asked = list(attempts)
        found = [cut_off(asked, service, committed_at) for service in self.services]
        cuts = [cut for cut in found if cut is not None]
        require(len(cuts) == len(self.services), "every service must have refused")
        for cut in cuts:
            require(cut.accepted_after_refusal == 0, f"{cut.service} accepted again after it had refused")
        return cuts


def require(condition: bool, what: str) -> None:
    """Assert what the story claims.

    Raises:
        StoryError: it is not so.
    """
    if not condition:
        raise StoryError(f"not so: {what}")


def all_accepted(attempts: Iterable[Attempt], what: str) -> Tally:
    """Require that every one of ``attempts`` was accepted, and that there are some.

    Raises:
        StoryError: one was not.
    """
    return _all(attempts, what, "accepted")


def all_refused(attempts: Iterable[Attempt], what: str) -> Tally:
    """Require that every one of ``attempts`` was refused, and that there are some.

    Raises:
        StoryError: one was not.
    """
    return _all(attempts, what, "refused")


def _all(attempts: Iterable[Attempt], what: str, ending: str) -> Tally:
    asked = list(attempts)
    count = tally(asked)
    good = getattr(count, ending)
    if good != len(asked) or not asked:
        others = sorted({f"{a.service}: {a.reason or a.verdict}" for a in asked if a.verdict != ending})
        raise StoryError(f"{what}: {good} of {len(asked)} were {ending} ({'; '.join(others) or 'nothing was asked'})")
    return count


async def until(condition: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
    """Wait until ``condition`` holds.

    Raises:
        StoryError: not within so many seconds.
    """
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() >= deadline:
            raise StoryError(f"waited {within:.0f} s in vain for {what}")
        await asyncio.sleep(_LOOK)
