"""``ostraka roles``: permissions under a name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from .changes import carry_out, counted, end, progress, withdrawn
from .exits import Exit
from .guard import CommandError, guarded
from .office import MOST, ByLogin, Most, Office, at_work
from .options import HOME_DEFAULT, HomePath, Json, MaybeReason, Permissions
from .output import Output, headed
from .words import OPTIONS

app = typer.Typer(
    help="""Permissions under a name, for users to have together.

They work on the issuer's home where it is; elsewhere, as whoever is logged in, with roles:read and roles:write.

Examples:

    ostraka roles add clerk -p orders:read -p orders:create

    ostraka users grant alice -r clerk
""",
    no_args_is_help=True,
    **OPTIONS,
)

RoleName = Annotated[str, typer.Argument(metavar="ROLE", help="The role's name.")]
Description = Annotated[str | None, typer.Option("--description", help="What it is for.")]


@app.command()
@guarded
def add(
    name: RoleName,
    permission: Permissions = [],  # noqa: B006 - read only, and what typer asks for
    description: Description = None,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Make a role.

    Example:

        ostraka roles add clerk -p orders:read -p orders:create
    """
    body = {"name": name, "permissions": permission, "description": description}
    made = at_work(home, by_login, lambda office: office.ask("POST", "roles", json=body))
    Output(as_json).result(made, _line(made, "made"))


@app.command("list")
@guarded
def list_roles(
    limit: Most = MOST, by_login: ByLogin = False, home: HomePath = HOME_DEFAULT, as_json: Json = False
) -> None:
    """List roles, what they allow, and how many have them.

    Example:

        ostraka roles list
    """
    found = at_work(home, by_login, lambda office: office.all("roles", limit))
    table = headed("ROLE", "USERS", "PERMISSIONS")
    for role in found:
        table.add_row(Text(role["name"]), str(role["users"]), Text(" ".join(role["permissions"])))
    Output(as_json).result({"roles": found}, table)


@app.command()
@guarded
def show(name: RoleName, by_login: ByLogin = False, home: HomePath = HOME_DEFAULT, as_json: Json = False) -> None:
    """Show one role.

    Example:

        ostraka roles show clerk
    """
    role = at_work(home, by_login, lambda office: office.ask("GET", "roles", name))
    about = [Text(role["description"], "dim")] if role["description"] else []
    Output(as_json).result(role, _line(role, "allows"), *about)


@app.command()
@guarded
def grant(
    name: RoleName,
    permission: Permissions,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Let a role allow more; the next token of everyone who has it carries it.

    Example:

        ostraka roles grant clerk -p orders:cancel
    """
    _something(permission)
    _change(home, by_login, as_json, name, {"grant": permission}, "allows")


@app.command()
@guarded
def withdraw(
    name: RoleName,
    permission: Permissions,
    reason: MaybeReason = None,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Take permissions from a role, from everyone who has it, and from their tokens that are out already.

    A pattern takes all that it covers; a part of one that the role has is refused.

    Example:

        ostraka roles withdraw clerk -p orders:cancel --reason "too many mistakes"
    """
    _something(permission)
    _change(home, by_login, as_json, name, {"withdraw": permission, "reason": reason}, "allows")


@app.command()
@guarded
def delete(
    name: RoleName,
    reason: MaybeReason = None,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Remove a role from everyone who has it.

    Example:

        ostraka roles delete clerk --reason "reorganised"
    """

    carry_out(
        home,
        by_login,
        as_json,
        lambda office: office.ask("DELETE", "roles", name, params={"reason": reason}),
        lambda _: f"role {name} is gone",
    )


def _something(permissions: list[str]) -> None:
    if not permissions:
        raise CommandError("name a permission (-p)", Exit.USAGE)


def _change(home: Path, by_login: bool, as_json: bool, name: str, body: Mapping[str, Any], what: str) -> None:
    async def work(office: Office) -> tuple[dict[str, Any], bool]:
        return await office.ask("PATCH", "roles", name, json=body), office.inside

    done, inside = at_work(home, by_login, work)
    role = done.pop("role")
    output = Output(as_json)
    output.result({**role, **done}, _line(role, what).append(progress(done, inside=inside)))
    if body.get("withdraw"):
        withdrawn(done, body["withdraw"], role["permissions"], f"the role {name}", output)
    end(done, output, inside=inside)


def _line(role: Mapping[str, Any], what: str) -> Text:
    allowed = " ".join(role["permissions"]) or "nothing"
    return Text.assemble(
        ("role ", ""), (role["name"], "bold"), f" {what}: {allowed}  ({counted(role['users'], 'user')})"
    )
