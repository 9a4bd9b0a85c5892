"""``ostraka config``: what is set, where, and whether it can be used."""

from typing import Annotated, Any

import typer
from rich.text import Text

from ostraka_issuer.configuration.describe import settings_of, spelled
from ostraka_issuer.configuration.layers import chosen_file
from ostraka_issuer.configuration.resolve import Resolved
from ostraka_issuer.settings import IssuerSettings, resolve_settings
from ostraka_issuer.usable import faults

from .config_file import given_home
from .guard import guarded
from .options import HOME_DEFAULT, HomePath, Json
from .output import Output
from .words import OPTIONS

app = typer.Typer(
    help="""Show and check the settings. Options win over the environment, the environment over the file (`--config`, or
OSTRAKA_CONFIG), the file over the defaults.

Examples:

    ostraka config check --config /etc/ostraka/ostraka.toml

    ostraka config show --json
""",
    no_args_is_help=True,
    **OPTIONS,
)


@app.command()
@guarded
def show(
    ctx: typer.Context,
    changed: Annotated[bool, typer.Option("--changed", help="Only what is not at its default.")] = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Show every setting: its value, and where it comes from. Secrets are hidden.

    Example:

        ostraka config show --changed
    """
    resolved = resolve_settings(home=given_home(ctx, home))
    rows = [row for row in _rows(resolved) if not changed or row["source"] != "default"]
    Output(as_json).result({"settings": rows}, *(_line(row) for row in rows))


@app.command()
@guarded
def check(ctx: typer.Context, home: HomePath = HOME_DEFAULT, as_json: Json = False) -> None:
    """See whether the settings can be used; say what is wrong, a line each (exit code 1).

    Nothing is connected to, and the home need not be there yet.

    Example:

        ostraka config check --config ./ostraka.toml
    """
    resolved = resolve_settings(further=faults, home=given_home(ctx, home))
    file = chosen_file()
    document = {"ok": True, "file": None if file is None else str(file), "set": len(resolved.origins)}
    where = "no file" if file is None else str(file)
    Output(as_json).result(document, Text(f"the settings can be used ({where}; {len(resolved.origins)} set)"))


def _rows(resolved: Resolved[IssuerSettings]) -> list[dict[str, Any]]:
    rows = []
    for name, setting in settings_of(IssuerSettings).items():
        layer = resolved.origins.get(name)
        rows.append(
            {
                "name": name,
                "value": spelled(getattr(resolved.settings, name)),
                "source": "default" if layer is None else layer.place_of(name),
                "secret": setting.secret,
            }
        )
    return rows


def _line(row: dict[str, Any]) -> Text:
    value = "-" if row["value"] is None else row["value"]
    style = "dim" if row["source"] == "default" else ""
    return Text.assemble((f"{row['name']} = {value}", style), (f"   ({row['source']})", "dim"))
