"""The command line's login: ``session.json``, for its owner's eyes only, renewed when it runs out."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, TypeVar

from pydantic import Field

from ostraka_issuer.api_client import ApiClient, IssuerRefused, Tokens
from ostraka_issuer.errors import HomeError
from ostraka_issuer.home import read_json, write_json
from ostraka_schemas.errors import MalformedError
from ostraka_schemas.model import WireModel, validated

from .exits import Exit
from .guard import CommandError

T = TypeVar("T")

RENEW_BEFORE: Final = 15.0
"""Seconds before its end that a token is renewed, so that it does not run out on the way."""


class _SessionFile(WireModel):
    url: str
    username: str
    access_token: str
    refresh_token: str
    session_id: str
    expires_at: Annotated[float, Field(strict=False)]


@dataclass(frozen=True, slots=True)
class Session:
    """A login at the issuer at ``url``. ``expires_at`` is the access token's end, seconds since the epoch."""

    url: str
    username: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    session_id: str
    expires_at: float

    @classmethod
    def begin(cls, url: str, username: str, tokens: Tokens, now: float) -> "Session":
        """A session from what the issuer answered at ``now``."""
        return cls(
            url=url,
            username=username,
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            session_id=tokens.session_id,
            expires_at=now + tokens.expires_in,
        )

    @classmethod
    def load(cls, path: Path) -> "Session":
        """Read the file.

        Raises:
            CommandError: nobody is logged in, or the file is not ours.
        """
        if not path.exists():
            raise CommandError(f"not logged in ({path} is not there); run: ostraka login NAME", Exit.REFUSED)
        try:
            members = read_json(path)
            content = validated(lambda: _SessionFile.model_validate(members), "session")
        except (HomeError, MalformedError) as error:
            raise CommandError(f"{path} is not a login ({error}); run: ostraka login NAME", Exit.REFUSED) from error
        return cls(**content.model_dump())

    def save(self, path: Path) -> None:
        """Write the file, readable by its owner only.

        Raises:
            CommandError: it cannot be written.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            content = {name: getattr(self, name) for name in _SessionFile.model_fields}
            write_json(path, content, mode=0o600)
        except (HomeError, OSError) as error:
            raise CommandError(f"cannot keep the login: {error}") from error


async def with_login(path: Path, call: Callable[[ApiClient, str], Awaitable[T]]) -> T:
    """Call the issuer as whoever is logged in; ``call`` is given a client and an access token.

    Raises:
        CommandError: nobody is logged in, the login was cut off, or whoever is logged in may not do it.
        IssuerUnreachable, IssuerRefused
    """
    session = await current(path)
    async with ApiClient(session.url) as api:
        try:
            return await call(api, session.access_token)
        except IssuerRefused as error:
            if error.http_status != 401:
                _explain(error, session)
                raise
        # Older tokens may be dead while the login lives on: after a new epoch, for one.
        session = await current(path, renew=True)
        try:
            return await call(api, session.access_token)
        except IssuerRefused as error:
            _explain(error, session)
            raise


def _explain(error: IssuerRefused, session: Session) -> None:
    if error.http_status == 403:
        raise CommandError(
            f"{session.username}, who is logged in at {session.url}, may not do this: {error}", Exit.REFUSED
        ) from error
    if error.http_status == 401:
        again = f"ostraka login {session.username}"
        raise CommandError(
            f"the login of {session.username} is refused: {error}; run: {again}", Exit.REFUSED
        ) from error


async def current(path: Path, now: float | None = None, *, renew: bool = False) -> Session:
    """The login kept in ``path``, renewed if its access token has run out or is about to, or if ``renew`` says so.

    Raises:
        CommandError: nobody is logged in, or the login has ended.
        IssuerUnreachable: it had to be renewed, and the issuer does not answer.
    """
    now = time.time() if now is None else now
    session = Session.load(path)
    if now < session.expires_at - RENEW_BEFORE and not renew:
        return session
    async with ApiClient(session.url) as api:
        try:
            tokens = await api.refresh(session.refresh_token)
        except IssuerRefused as error:
            if error.is_denial or error.http_status == 400:
                again = f"ostraka login {session.username}"
                raise CommandError(f"the login has ended ({error}); run: {again}", Exit.REFUSED) from error
            raise
    renewed = Session.begin(session.url, session.username, tokens, now)
    renewed.save(path)
    return renewed
