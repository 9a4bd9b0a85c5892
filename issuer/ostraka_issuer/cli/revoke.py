"""``ostraka revoke``: cut off a token, a session, a user, a client, a permission, or everyone."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ostraka_issuer.api_client import Announced
from ostraka_issuer.home import Home
from ostraka_schemas import base64url, strict_json
from ostraka_schemas.errors import WireError
from ostraka_schemas.limits import TOKEN_MAX_BYTES

from . import checks
from .announced import document_of, end, progress_of
from .changes import counted
from .dashes import TakesId
from .exits import Exit
from .guard import CommandError, guarded
from .options import HOME_DEFAULT, HomePath, Json, Reason
from .output import Output
from .session import with_login
from .words import OPTIONS

app = typer.Typer(
    help="""Cut off a token, session, user, client, permission, or everyone. Every verifier refuses from then on.

`ostraka login` first, as a user with revocations:create.

Examples:

    ostraka revoke subject alice --reason "left the company"

    ostraka revoke permission orders:create --reason "stock-taking"
""",
    no_args_is_help=True,
    **OPTIONS,
)


@app.command(cls=TakesId)
@guarded
def token(
    token: Annotated[str, typer.Argument(help="The token's id (jti), the token itself, or - to read it from stdin.")],
    reason: Reason,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Refuse one token from now on. Its session lives: it can be refreshed.

    An id is put on the deny list whether or not there is such a token: the issuer keeps no list of those it signed.

    Examples:

        ostraka revoke token 9v3gJ0m0S0mRZCk1T0oG2w --reason "pasted into a chat"

        echo "$TOKEN" | ostraka revoke token - --reason "pasted into a chat"
    """
    given = sys.stdin.readline(TOKEN_MAX_BYTES).strip() if token == "-" else token  # noqa: S105 - a dash is no secret
    named = _token_named(given)
    if not checks.is_own_id(named["jti"]):
        Output(as_json).note("This issuer's tokens have ids of 22 base64url characters; this is none of them.")
    of_an_id = "" if "exp" in named else f"token id {named['jti']} (on the deny list, whether or not it exists)"
    _revoke(home, as_json, reason, {"kind": "token", **named}, of_an_id or "the token")


@app.command(cls=TakesId)
@guarded
def session(
    session_id: Annotated[str, typer.Argument(help="The session's id (sid).")],
    reason: Reason,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """End one login session: its access tokens, its refresh token, itself.

    Example:

        ostraka revoke session s1x7rT9vT9mJ1wq9Zr8b0A --reason "laptop lost"
    """
    _revoke(home, as_json, reason, {"kind": "session", "session_id": session_id}, f"session {session_id}")


@app.command(cls=TakesId)
@guarded
def subject(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")],
    reason: Reason,
    by_id: Annotated[bool, typer.Option("--id", help="NAME is a subject (sub), not a user name.")] = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Cut off one user: every session, every older token.

    Example:

        ostraka revoke subject alice --reason "left the company"
    """
    body = {"kind": "subject", "subject" if by_id else "username": name}
    _revoke(home, as_json, reason, body, name)


@app.command(cls=TakesId)
@guarded
def client(
    client_id: Annotated[str, typer.Argument(help="The client's id.")],
    reason: Reason,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Cut off one client: every session opened through it, every older token.

    Example:

        ostraka revoke client mobile-app --reason "secret leaked"
    """
    _revoke(home, as_json, reason, {"kind": "client", "client_id": client_id}, f"client {client_id}")


@app.command()
@guarded
def permission(
    permission: Annotated[
        str, typer.Argument(callback=checks.permission, help="resource:action; either side may be *.")
    ],
    reason: Reason,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Take a permission from everyone and from every older token. All their other permissions live on.

    Example:

        ostraka revoke permission orders:create --reason "stock-taking"
    """
    _revoke(home, as_json, reason, {"kind": "permission", "permission": permission}, f"permission {permission}")


@app.command("all")
@guarded
def everyone(
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Cut off everyone: every session, every older token, your own too.

    Example:

        ostraka revoke all --yes --reason "breach"
    """
    if not yes:
        if not sys.stdin.isatty():
            raise CommandError("this logs out everyone; say --yes to mean it", Exit.USAGE)
        if not typer.confirm("This logs out everyone, you too. Go on?", err=True):
            raise CommandError("nothing was revoked")
    _revoke(home, as_json, reason, {"kind": "all"}, "everyone")


def _revoke(home: Path, as_json: bool, reason: str, what: Mapping[str, Any], name: str) -> None:
    body = {**what, "reason": reason}
    path = Home(home.expanduser()).session
    done = asyncio.run(with_login(path, lambda api, token: api.revoke(token, body)))
    output = Output(as_json)
    output.result(document_of(done), _sentence(done, name, what["kind"]))
    end(done, output)


def _sentence(done: Announced, name: str, kind: str) -> Text:
    text = Text.assemble(("cut off: ", "bold"), name)
    ended, removed = done.rest.get("sessions_ended"), done.rest.get("grants_removed")
    if ended:
        text.append(f"; {counted(ended, 'session')} ended")
    if kind == "permission":
        text.append(f"; {counted(removed, 'grant')} taken away" if removed else "; nobody held it")
    text.append(f"\n{progress_of(done)}; transaction {done.txn}")
    return text


def _token_named(given: str) -> dict[str, Any]:
    """What to revoke: a ``jti``, or what a token says of itself. Its signature does not matter: this only refuses."""
    parts = given.split(".")
    if len(parts) != 3:
        if not given or "." in given:
            raise CommandError("this is neither a token nor a token's id", Exit.USAGE)
        return {"jti": given}
    try:
        claims = strict_json.loads_object(base64url.decode_text(parts[1]))
    except WireError as error:
        raise CommandError(f"this is not a token: {error}", Exit.USAGE) from error
    jti, exp = claims.get("jti"), claims.get("exp")
    if not isinstance(jti, str) or not isinstance(exp, int):
        raise CommandError("this is not an access token: it has no jti or no exp", Exit.USAGE)
    return {"jti": jti, "exp": exp}
