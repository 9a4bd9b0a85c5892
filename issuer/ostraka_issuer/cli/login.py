"""``ostraka login`` and ``logout``: the login that ``revoke`` and ``keys`` use."""

import asyncio
import time
from typing import Annotated

import typer
from rich.text import Text

from ostraka_consumers.anchor import TrustAnchor
from ostraka_issuer.api_client import ApiClient, IssuerRefused
from ostraka_issuer.home import Home

from .exits import Exit
from .guard import CommandError, guarded
from .options import HOME_DEFAULT, HomePath, Json, PasswordFromStdin, issuer_option
from .output import Output
from .passwords import read_password
from .session import Session

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
    """Forget the login here. The session itself lives on until it is revoked or runs out.

    Example:

        ostraka logout
    """
    path = Home(home.expanduser()).session
    was_there = path.exists()
    path.unlink(missing_ok=True)
    said = f"{path} is gone" if was_there else "nobody was logged in"
    Output(as_json).result({"forgotten": was_there}, Text(said))


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
