"""``ostraka users``: people and what they may do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from .changes import carry_out, end, progress, withdrawn
from .exits import Exit
from .guard import CommandError, guarded
from .office import MOST, ByLogin, Most, Office, at_work
from .options import HOME_DEFAULT, HomePath, Json, MaybeReason, PasswordFromStdin, Permissions
from .output import Output, headed
from .passwords import read_password
from .words import OPTIONS

app = typer.Typer(
    help="""People: who they are, what they may do, and their end.

They work on the issuer's home where it is; elsewhere, as whoever is logged in, with users:read and users:write.
A running issuer and its verifiers see each change at once.

Examples:

    ostraka users add alice -p orders:create

    ostraka users withdraw alice -p orders:create --reason "new job"

    ostraka users disable alice --reason "left the company"
""",
    no_args_is_help=True,
    **OPTIONS,
)

RoleNames = Annotated[list[str], typer.Option("--role", "-r", help="Name of a role; repeat for more.")]
UserName = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]


@app.command()
@guarded
def add(
    name: UserName,
    permission: Permissions = [],  # noqa: B006 - read only, and what typer asks for
    role: RoleNames = [],  # noqa: B006
    password_stdin: PasswordFromStdin = False,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Make a user.

    The password is asked for, or comes from --password-stdin or the variable OSTRAKA_PASSWORD.

    Example:

        ostraka users add alice -p orders:create -p orders:read
    """
    password = read_password(from_stdin=password_stdin, confirm=True, prompt=f"Password for {name}")
    body = {"username": name, "password": password, "permissions": permission, "roles": role}
    made = at_work(home, by_login, lambda office: office.ask("POST", "users", json=body))
    Output(as_json).result(_document(made), _line(made, "made"))


@app.command("list")
@guarded
def list_users(
    role: Annotated[str | None, typer.Option("--role", "-r", help="Only those with this role.")] = None,
    limit: Most = MOST,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """List users and what they may do.

    Example:

        ostraka users list
    """
    found = at_work(home, by_login, lambda office: office.all("users", limit, role=role))
    table = headed("NAME", "SUBJECT", "PERMISSIONS")
    for user in found:
        style = "dim" if user["disabled"] else ""
        table.add_row(*(Text(text, style) for text in (user["username"], user["id"], _carries(user))))
    Output(as_json).result({"users": [_document(user) for user in found]}, table)


@app.command()
@guarded
def show(name: UserName, by_login: ByLogin = False, home: HomePath = HOME_DEFAULT, as_json: Json = False) -> None:
    """Show one user.

    Example:

        ostraka users show alice
    """
    user = at_work(home, by_login, lambda office: office.user(name))
    Output(as_json).result(_document(user), _line(user, "may"), Text(_more(user), "dim"))


@app.command()
@guarded
def grant(
    name: UserName,
    permission: Permissions = [],  # noqa: B006
    role: RoleNames = [],  # noqa: B006
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Give a user more permissions, or roles; tokens minted from now on carry them.

    Example:

        ostraka users grant alice -p orders:create -r clerk
    """
    _something(permission, role)
    _change(home, by_login, as_json, name, {"grant": permission, "assign": role}, "granted")


@app.command()
@guarded
def withdraw(
    name: UserName,
    permission: Permissions = [],  # noqa: B006
    role: RoleNames = [],  # noqa: B006
    reason: MaybeReason = None,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Take permissions or roles from a user, and from the tokens that are out already.

    A pattern takes all that it covers. A part of one that is held is refused, and so is what a role allows: withdraw
    the pattern and grant what is to stay, or take the role.

    Example:

        ostraka users withdraw alice -p orders:create --reason "new job"
    """
    _something(permission, role)
    body = {"withdraw": permission, "unassign": role, "reason": reason}
    _change(home, by_login, as_json, name, body, "may now")


@app.command()
@guarded
def disable(
    name: UserName,
    reason: MaybeReason = None,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Cut a user off, and let them in no more: every session and every older token ends.

    Example:

        ostraka users disable alice --reason "left the company"
    """
    _change(home, by_login, as_json, name, {"disabled": True, "reason": reason}, "disabled")


@app.command()
@guarded
def enable(name: UserName, by_login: ByLogin = False, home: HomePath = HOME_DEFAULT, as_json: Json = False) -> None:
    """Let a disabled user log in again. What was cut off stays cut off.

    Example:

        ostraka users enable alice
    """
    _change(home, by_login, as_json, name, {"disabled": False}, "enabled")


@app.command()
@guarded
def password(
    name: UserName,
    reason: MaybeReason = None,
    password_stdin: PasswordFromStdin = False,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Set another password: every session and every older token ends.

    The password is asked for, or comes from --password-stdin or the variable OSTRAKA_PASSWORD.

    Example:

        ostraka users password alice
    """
    new = read_password(from_stdin=password_stdin, confirm=True, prompt=f"New password for {name}")
    _change(home, by_login, as_json, name, {"password": new, "reason": reason}, "has another password")


@app.command()
@guarded
def delete(
    name: UserName,
    reason: MaybeReason = None,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Remove a user: every session and every older token ends, and the name is free.

    Example:

        ostraka users delete alice --reason "asked for it"
    """

    async def work(office: Office) -> dict[str, Any]:
        user = await office.user(name)
        return await office.ask("DELETE", "users", user["id"], params={"reason": reason})

    carry_out(home, by_login, as_json, work, lambda _: f"{name} is gone")


def _something(*given: list[str]) -> None:
    if not any(given):
        raise CommandError("name a permission (-p) or a role (-r)", Exit.USAGE)


def _change(home: Path, by_login: bool, as_json: bool, name: str, body: Mapping[str, Any], what: str) -> None:
    async def work(office: Office) -> tuple[dict[str, Any], bool]:
        user = await office.user(name)
        return await office.ask("PATCH", "users", user["id"], json=body), office.inside

    done, inside = at_work(home, by_login, work)
    user: dict[str, Any] = done.pop("user")
    output = Output(as_json)
    output.result({**_document(user), **done}, _line(user, what).append(progress(done, inside=inside)))
    if body.get("withdraw"):
        withdrawn(done, body["withdraw"], user["effective_permissions"], name, output)
    end(done, output, inside=inside)


def _document(user: Mapping[str, Any]) -> dict[str, Any]:
    return {"username": user["username"], "subject": user["id"], **{k: v for k, v in user.items() if k != "id"}}


def _line(user: Mapping[str, Any], what: str) -> Text:
    return Text.assemble((user["username"], "bold"), f" {what}: {_carries(user)}  (subject {user['id']})")


def _carries(user: Mapping[str, Any]) -> str:
    carried = " ".join(user["effective_permissions"]) or "no permissions"
    return f"{carried}{' (disabled)' if user['disabled'] else ''}"


def _more(user: Mapping[str, Any]) -> str:
    granted, roles = " ".join(user["permissions"]) or "nothing", " ".join(user["roles"]) or "none"
    return f"granted directly: {granted}; roles: {roles}"
