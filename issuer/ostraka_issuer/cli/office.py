"""Where ``users``, ``roles``, ``clients``, ``sessions`` and ``audit`` do their work.

On a machine with the issuer's home they work on the home itself, as ``init`` does: the first user has to come from
somewhere. Elsewhere, or with ``--login``, they ask the issuer that somebody is logged in at, as ``revoke`` does. The
doors are the same, and so are the answers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import quote

import typer
from httpx import ASGITransport

from ostraka_issuer.api_client import ApiClient
from ostraka_issuer.errors import HomeError
from ostraka_issuer.home import Home
from ostraka_issuer.limits import PAGE_MAX
from ostraka_issuer.settings import load_settings

from .exits import Exit
from .guard import CommandError
from .session import with_login

T = TypeVar("T")

ByLogin = Annotated[
    bool,
    typer.Option(
        "--login",
        help="Ask the issuer that you are logged in at, even if its home is here. [default: if there is none]",
    ),
]
Most = Annotated[int, typer.Option("--limit", min=1, max=10 * PAGE_MAX, help="Show at most so many.")]
MOST: Final = PAGE_MAX


@dataclass(frozen=True, slots=True)
class Office:
    """The doors, from whichever side."""

    api: ApiClient
    access_token: str | None
    inside: bool

    async def ask(
        self,
        method: str,
        *path: str,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Ask at a door; ``path`` are the parts behind ``/admin/``.

        Raises:
            CommandError: a text of the command line is no UTF-8.
            IssuerError: as the door says.
        """
        try:
            quoted = "/".join(quote(part, safe="") for part in path)
            return await self.api.admin(self.access_token, method, quoted, json=json, params=params)
        except UnicodeEncodeError as error:
            raise CommandError("something of what was given is no text in UTF-8", Exit.USAGE) from error

    async def all(self, what: str, most: int, **params: object) -> list[dict[str, Any]]:
        """A list, page by page, at most ``most``."""
        found: list[dict[str, Any]] = []
        after = None
        while len(found) < most:
            limit = min(PAGE_MAX, most - len(found))
            page = await self.ask("GET", what, params={"limit": limit, "after": after, **params})
            found += page["entries" if what == "audit" else what]
            after = page["next"]
            if after is None:
                break
        return found

    async def user(self, name: str) -> dict[str, Any]:
        """The user of that name.

        Raises:
            CommandError: there is none.
        """
        found = await self.all("users", 1, username=name)
        if not found:
            raise CommandError(f"there is no user {name}")
        return found[0]


def at_work(home: Path, by_login: bool, work: Callable[[Office], Awaitable[T]]) -> T:
    """Do something at the doors.

    Raises:
        CommandError: neither is there a home nor a login.
        IssuerError: as the doors say.
    """
    return asyncio.run(_at_work(home, by_login, work))


async def _at_work(home: Path, by_login: bool, work: Callable[[Office], Awaitable[T]]) -> T:
    settings = load_settings(home=home)
    place = Home(settings.home)
    if not by_login:
        try:
            place.require(database=settings.database is None)
        except HomeError:
            if not place.session.exists():
                raise
            by_login = True
    if by_login:
        return await with_login(place.session, lambda api, token: work(Office(api, token, inside=False)))
    # Not before it is needed: it brings the web framework.
    from ostraka_issuer.http.inside import open_inside  # noqa: PLC0415

    async with open_inside(settings) as app, ApiClient("http://home", transport=ASGITransport(app)) as api:
        return await work(Office(api, None, inside=True))
