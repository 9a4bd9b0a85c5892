"""``ostraka sessions``: who is logged in."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from .changes import carry_out
from .dashes import TakesId
from .guard import guarded
from .office import MOST, ByLogin, Most, Office, at_work
from .options import HOME_DEFAULT, HomePath, Json, MaybeReason
from .output import Output, headed
from .words import OPTIONS

app = typer.Typer(
    help="""Who is logged in.

They work on the issuer's home where it is; elsewhere, as whoever is logged in, with sessions:read and sessions:write.

Examples:

    ostraka sessions list --user alice

    ostraka sessions end s1x7rT9vT9mJ1wq9Zr8b0A --reason "laptop lost"
""",
    no_args_is_help=True,
    **OPTIONS,
)


@app.command("list")
@guarded
def list_sessions(
    user: Annotated[str | None, typer.Option("--user", help="Only those of the user of that name.")] = None,
    client: Annotated[str | None, typer.Option("--client", help="Only those through that client.")] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Also those that are over.")] = False,
    limit: Most = MOST,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """List login sessions.

    Example:

        ostraka sessions list --user alice
    """

    async def work(office: Office) -> list[dict[str, Any]]:
        user_id = None if user is None else (await office.user(user))["id"]
        return await office.all("sessions", limit, user_id=user_id, client_id=client, ended=ended)

    found = at_work(home, by_login, work)
    table = headed("SESSION", "USER", "CLIENT", "LAST USED")
    for session in found:
        over = "" if session["ended_at"] is None else f", over: {session['end_reason']}"
        table.add_row(
            session["id"],
            *(Text(session[name]) for name in ("username", "client_id")),
            f"{time(session['used_at'])}{over}",
        )
    Output(as_json).result({"sessions": found}, table)


@app.command("end", cls=TakesId)
@guarded
def end_session(
    session_id: Annotated[str, typer.Argument(metavar="SESSION", help="The session's id (sid).")],
    reason: MaybeReason = None,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """End one login session: its access tokens, its refresh token, itself.

    Example:

        ostraka sessions end s1x7rT9vT9mJ1wq9Zr8b0A --reason "laptop lost"
    """

    carry_out(
        home,
        by_login,
        as_json,
        lambda office: office.ask("DELETE", "sessions", session_id, params={"reason": reason}),
        lambda _: f"session {session_id} is over",
    )


def time(seconds: float) -> str:
    """A moment, for people."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
