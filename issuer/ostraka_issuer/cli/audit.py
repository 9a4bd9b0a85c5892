"""``ostraka audit``: who changed what."""

import json
from typing import Annotated

import typer
from rich.text import Text

from .guard import guarded
from .office import ByLogin, Most, at_work
from .options import HOME_DEFAULT, HomePath, Json
from .output import Output
from .sessions import time


@guarded
def audit(
    actor: Annotated[str | None, typer.Option("--actor", help="Only what this subject did, or `home`.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Only this, such as user.change.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="Only what was done to this id or name.")] = None,
    limit: Most = 50,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Show who changed what, newest first.

    It works on the issuer's home where it is; elsewhere, as whoever is logged in, with audit:read. Changes that were
    made on the home itself, without a login, are by `home`.

    Examples:

        ostraka audit --limit 20

        ostraka audit --action user.change --json
    """
    found = at_work(
        home, by_login, lambda office: office.all("audit", limit, actor=actor, action=action, target=target)
    )
    lines = []
    for entry in found:
        told = json.dumps(entry["details"], ensure_ascii=False) if entry["details"] else ""
        line = Text.assemble(time(entry["at"]), "  ", (entry["action"], "bold"), f"  {entry['target'] or ''}")
        lines.append(line.append(f"\n    by {entry['actor']}  {told}", style="dim"))
    Output(as_json).result({"entries": found}, *lines)
