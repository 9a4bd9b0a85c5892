"""``ostraka login`` and ``logout``: the login that ``revoke`` and ``keys`` use."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ostraka_consumers.anchor import TrustAnchor
from ostraka_issuer.api_client import ApiClient, IssuerRefused, IssuerUnreachable
from ostraka_issuer.home import Home

from .exits import Exit
from .guard import CommandError, guarded
from .options import HOME_DEFAULT, HomePath, Json, PasswordFromStdin, issuer_option
from .output import Output
from .passwords import read_password
from .session import Session, with_login

_OF_PROXIES = (502, 503, 504)


@guarded
def login(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")],
    issuer: Annotated[str | None, issuer_option("URL of the issuer. [default: as in HOME/anchor.json]")] = None,
    audience: Annotated[
        list[str], typer.Option("--audience", help="Whom the token is for; repeat for more. [default: all]")
    ] = [],  # noqa: B006 - read only, and what typer asks for
    password_stdin: PasswordFromStdin = False,
    show_token: Annotated[
        bool, typer.Option("--show-token", help="Print the access token, to use it elsewhere; keep nothing.")
    ] = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Log in, and keep the login in HOME/session.json for the other commands; they renew it as needed.

    The password is asked for, or comes from --password-stdin or the variable OSTRAKA_PASSWORD.

    Examples:

        ostraka login operator

        TOKEN=$(ostraka login alice --show-token)
    """
    place = Home(home.expanduser())
    url = issuer or _issuer_of(place)
    password = read_password(from_stdin=password_stdin, prompt=f"Password for {name}")
    session = asyncio.run(_login(url, name, password, audience))
    output = Output(as_json)
    if show_token:
        document = {"access_token": session.access_token, "expires_at": session.expires_at}
        output.result(document, Text(session.access_token))
        return
    session.save(place.session)
    document = {
        "username": name,
        "issuer": url,
        "session_id": session.session_id,
        "expires_at": session.expires_at,
        "session_file": str(place.session),
    }
    output.result(document, Text(f"logged in at {url} as {name}; session {session.session_id}"))


@guarded
def logout(home: HomePath = HOME_DEFAULT, as_json: Json = False) -> None:
    """End the session, and forget the login here.

    Example:

        ostraka logout
    """
    path = Home(home.expanduser()).session
    output = Output(as_json)
    if not path.exists():
        output.result({"forgotten": False, "session_id": None, "ended": False}, Text("nobody was logged in"))
        return
    try:
        session_id, trouble = asyncio.run(_end(path))
    finally:
        path.unlink(missing_ok=True)
    said = "the session has ended" if trouble is None else f"{path} is gone; {trouble}"
    output.result({"forgotten": True, "session_id": session_id, "ended": trouble is None}, Text(said))
    if trouble is not None:
        raise typer.Exit(Exit.UNREACHABLE)


async def _end(path: Path) -> tuple[str, str | None]:
    """End the session that is kept in ``path``. Returns its id, and why it may go on, if it may."""
    kept = Session.load(path)
    try:
        await with_login(path, ApiClient.logout)
    except IssuerUnreachable as error:
        return kept.session_id, f"{error}. The session goes on until: ostraka revoke session {kept.session_id}"
    except CommandError as error:
        # Refused: it has ended already, or was cut off.
        if error.exit_code is not Exit.REFUSED:
            raise
    return kept.session_id, None


async def _login(url: str, name: str, password: str, audience: list[str]) -> Session:
    async with ApiClient(url) as api:
        try:
            tokens = await api.login(name, password, audience=audience or None)
        except IssuerRefused as error:
            # An issuer names its reason. Who names none is something else, or a proxy that cannot reach it.
            if error.problem is None and error.http_status not in _OF_PROXIES:
                raise CommandError(f"no Ostraka issuer at {url}: {error}", Exit.UNREACHABLE) from error
            raise
    return Session.begin(url, name, tokens, time.time())


def _issuer_of(home: Home) -> str:
    if not home.anchor.exists():
        raise CommandError(
            f"which issuer? {home.anchor} is not there: use --home DIR or OSTRAKA_HOME for its home, or --issuer URL",
            Exit.USAGE,
        )
    return TrustAnchor.load(home.anchor).issuer
