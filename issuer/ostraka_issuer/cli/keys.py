"""``ostraka keys``: the keys that sign tokens."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.text import Text

from ostraka_issuer.api_client import Announced, ApiClient
from ostraka_issuer.home import Home

from .exits import Exit
from .guard import guarded
from .options import HOME_DEFAULT, HomePath, Json, Reason
from .output import Output, headed
from .session import with_login
from .words import OPTIONS

T = TypeVar("T")

app = typer.Typer(
    help="Keys that sign tokens; `ostraka login` first, as a user with keys:*.", no_args_is_help=True, **OPTIONS
)


@app.command("list")
@guarded
def list_keys(
    everything: Annotated[bool, typer.Option("--all", help="Also the keys that are destroyed.")] = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """List the keys and the state of each (NIST SP 800-57).

    Example:

        ostraka keys list
    """
    document = _with_login(home, lambda api, token: api.keys(token))
    rows = [row for row in document.get("keys", []) if everything or row.get("state") != "destroyed"]
    table = headed("KEY", "ALG", "STATE", "SIGNS FROM", "UNTIL", "")
    for row in rows:
        signs = Text("signs now", style="green") if row.get("signs") else Text("")
        table.add_row(row["kid"], row["alg"], row["state"], _time(row["nbf"]), _time(row["exp"]), signs)
    Output(as_json).result({"keys": rows}, table)


@app.command()
@guarded
def rotate(
    lead: Annotated[
        int | None,
        typer.Option("--lead", help="Seconds for which the successor is published before it signs. [default: 86400]"),
    ] = None,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Publish a successor, which signs once every verifier has long known it. No good token is refused.

    Example:

        ostraka keys rotate --lead 60
    """
    done = _with_login(home, lambda api, token: api.rotate_keys(token, lead=lead))
    starts = done.rest.get("signs_from")
    when = "" if starts is None else f" signs from {_time(int(starts))}"
    _announce(done, as_json, f"key {done.rest.get('signs_with') or done.rest.get('kid')}{when}")


@app.command()
@guarded
def compromise(
    kid: Annotated[str, typer.Argument(help="The key's id.")],
    reason: Reason,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Call a key compromised: whatever it signed is refused at once, and another key signs from now on.

    Example:

        ostraka keys compromise 3nXb… --reason "backup went missing"
    """
    done = _with_login(home, lambda api, token: api.compromise_key(token, kid, reason=reason))
    _announce(done, as_json, f"key {kid} is compromised")


def _with_login(home: Path, call: Callable[[ApiClient, str], Awaitable[T]]) -> T:
    return asyncio.run(with_login(Home(home.expanduser()).session, call))


def _announce(done: Announced, as_json: bool, what: str) -> None:
    document = {
        "txn": done.txn,
        "epoch": done.epoch or None,
        "seq": done.seq,
        "committed_at": done.committed_at,
        **done.rest,
    }
    where = "" if done.seq is None else f", announced at feed position {done.epoch}:{done.seq}"
    Output(as_json).result(document, Text(f"{what}{where}"))
    if done.seq is None:
        Output(as_json).note("It is committed, but has no place in the feed yet: is the issuer well?")
        raise typer.Exit(Exit.NOT_READY)


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
