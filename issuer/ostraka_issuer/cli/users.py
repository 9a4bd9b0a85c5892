"""``ostraka users``: accounts, in the home itself. A running issuer sees each change at once."""

import asyncio
from typing import Annotated, Any

import typer
from rich.text import Text

from ostraka_issuer.accounts.offline import open_accounts
from ostraka_issuer.accounts.people import User
from ostraka_issuer.limits import PAGE_MAX
from ostraka_issuer.settings import load_settings

from .guard import guarded
from .options import HOME_DEFAULT, HomePath, Json, PasswordFromStdin
from .output import Output, headed
from .passwords import read_password
from .words import OPTIONS

app = typer.Typer(
    help="""Accounts of the issuer in this home.

Examples:

    ostraka users add alice -p orders:create

    ostraka users list
""",
    no_args_is_help=True,
    **OPTIONS,
)

Permissions = Annotated[
    list[str], typer.Option("--permission", "-p", help="resource:action, either side may be *; repeat for more.")
]
UserName = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]


@app.command()
@guarded
def add(
    name: UserName,
    permission: Permissions = [],  # noqa: B006 - read only, and what typer asks for
    password_stdin: PasswordFromStdin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Make a user.

    The password is asked for, or comes from --password-stdin or the variable OSTRAKA_PASSWORD.

    Example:

        ostraka users add alice -p orders:create -p orders:read
    """
    password = read_password(from_stdin=password_stdin, confirm=True, prompt=f"Password for {name}")

    async def work() -> User:
        async with open_accounts(load_settings(home=home)) as accounts:
            return await accounts.add_user(name, password, permission)

    _show(asyncio.run(work()), as_json, "made")


@app.command()
@guarded
def grant(name: UserName, permission: Permissions, home: HomePath = HOME_DEFAULT, as_json: Json = False) -> None:
    """Give a user more permissions; tokens minted from now on carry them.

    Example:

        ostraka users grant alice -p orders:create
    """

    async def work() -> User:
        async with open_accounts(load_settings(home=home)) as accounts:
            return await accounts.grant(name, permission)

    _show(asyncio.run(work()), as_json, "granted")


@app.command("list")
@guarded
def list_users(home: HomePath = HOME_DEFAULT, as_json: Json = False) -> None:
    """List users and what they may do.

    Example:

        ostraka users list
    """

    async def work() -> list[User]:
        async with open_accounts(load_settings(home=home)) as accounts:
            return await accounts.users(limit=PAGE_MAX)

    found = asyncio.run(work())
    table = headed("NAME", "SUBJECT", "PERMISSIONS")
    for user in found:
        table.add_row(user.username, user.id, " ".join(user.permissions))
    Output(as_json).result({"users": [_document(user) for user in found]}, table)


def _document(user: User) -> dict[str, Any]:
    return {
        "username": user.username,
        "subject": user.id,
        "permissions": list(user.permissions),
        "disabled": user.disabled,
    }


def _show(user: User, as_json: bool, what: str) -> None:
    carried = " ".join(user.permissions) or "no permissions"
    line = Text.assemble((user.username, "bold"), f" {what}: {carried}  (subject {user.id})")
    Output(as_json).result(_document(user), line)
