"""``ostraka keys``: the keys that sign tokens."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.text import Text

from ostraka_issuer.api_client import Announced, ApiClient
from ostraka_issuer.home import Home
from ostraka_issuer.keys.opening import given_secret
from ostraka_issuer.keys.removal import move_keys, reseal_keys
from ostraka_issuer.limits import KEY_LEAD_MAX, KEY_LEAD_MIN
from ostraka_issuer.settings import load_settings

from .announced import document_of, end, progress_of
from .dashes import TakesId
from .guard import guarded
from .options import HOME_DEFAULT, HomePath, Json, Reason
from .output import Output
from .session import with_login
from .words import OPTIONS

T = TypeVar("T")


class StoreName(StrEnum):
    """Where private keys can be."""

    DIRECTORY = "directory"
    DATABASE = "database"


app = typer.Typer(
    help="""List, rotate and cut off the keys that sign tokens. `ostraka login` first, as a user with keys:*.

Examples:

    ostraka keys list

    ostraka keys rotate
""",
    no_args_is_help=True,
    **OPTIONS,
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
    Output(as_json).result({"keys": rows}, *(_line(row) for row in rows))


@app.command()
@guarded
def rotate(
    lead: Annotated[
        int | None,
        typer.Option(
            "--lead",
            min=KEY_LEAD_MIN,
            max=KEY_LEAD_MAX,
            help="Seconds for which the successor is published before it signs. [default: as the issuer is set, a day]",
        ),
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


@app.command(cls=TakesId)
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


@app.command()
@guarded
def move(
    to: Annotated[StoreName, typer.Option("--to", help="Where they are to be.")],
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Move feed and token keys into the directory or the database. Stop the issuer first; start it with key_store set.

    The keys stay sealed all the way. They are removed where they were when all of them open where they are now.

    Example:

        ostraka keys move --to database
    """
    moved = asyncio.run(move_keys(load_settings(home=home), to.value))
    text = Text(f"{_count(moved)} now in the {to.value}. Start the issuer with OSTRAKA_KEY_STORE={to.value}")
    Output(as_json).result({"moved": list(moved), "key_store": to.value}, text)


@app.command()
@guarded
def reseal(
    secret_file: Annotated[
        Path,
        typer.Option("--secret-file", metavar="FILE", help="The new sealing secret, base64url of 32 random bytes."),
    ],
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Seal all private keys with another secret. Stop the issuer first. Everybody logs in anew: refresh tokens end.

    A secret that lies in the home is replaced there; one that is given by the environment or a file, you replace.

    Example:

        ostraka keys reseal --secret-file /run/secrets/ostraka-secret-key.new
    """
    settings = load_settings(home=home)
    sealed = asyncio.run(reseal_keys(settings, secret_file.expanduser()))
    given = given_secret(settings)
    text = Text(f"{_count(sealed)} now sealed with the new secret.")
    text.append(" It is in the home." if given is None else f" Start the issuer with it in place of {given}.")
    Output(as_json).result({"resealed": list(sealed), "secret_in_home": given is None}, text)


def _count(names: Sequence[str]) -> str:
    return "1 key is" if len(names) == 1 else f"{len(names)} keys are"


def _with_login(home: Path, call: Callable[[ApiClient, str], Awaitable[T]]) -> T:
    return asyncio.run(with_login(Home(home.expanduser()).session, call))


def _announce(done: Announced, as_json: bool, what: str) -> None:
    output = Output(as_json)
    output.result(document_of(done), Text(f"{what}: {progress_of(done)}"))
    end(done, output)


def _line(row: Mapping[str, Any]) -> Text:
    """Two lines a key: its whole name is needed to cut it off, and 80 columns are all that some have."""
    text = Text.assemble((row["kid"], "bold"), f"  {row['alg']}  {row['state']}")
    if row.get("signs"):
        text.append(", signs now", style="green")
    text.append(f"\n    for tokens from {_time(row['nbf'])} to {_time(row['exp'])}", style="dim")
    return text


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
