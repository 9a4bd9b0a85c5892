"""``ostraka clients``: the programs that ask for tokens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ostraka_issuer.accounts.clients import GRANT_TYPES, TOKEN_EXCHANGE, AuthMethod
from ostraka_issuer.home import read_json

from .changes import carry_out, end, progress, withdrawn
from .exits import Exit
from .guard import CommandError, guarded
from .office import MOST, ByLogin, Most, Office, at_work
from .options import HOME_DEFAULT, HomePath, Json, MaybeReason, Permissions
from .output import Output, headed, pairs
from .words import OPTIONS

app = typer.Typer(
    help="""The programs that ask for tokens, their secrets and keys.

They work on the issuer's home where it is; elsewhere, as whoever is logged in, with clients:read and clients:write.

Examples:

    ostraka clients add web-app --audience orders

    ostraka clients add billing --auth client_secret_basic --grant client_credentials -p orders:read

    ostraka clients secret billing --reason "was in a log"
""",
    no_args_is_help=True,
    **OPTIONS,
)

ClientId = Annotated[str, typer.Argument(metavar="CLIENT", help="The client's id.")]
Audiences = Annotated[list[str], typer.Option("--audience", help="Whom it may ask tokens for; repeat for more.")]


def _check_grants(names: list[str]) -> list[str]:
    if foreign := [name for name in names if name not in GRANT_TYPES]:
        raise typer.BadParameter(f"{foreign[0]!r} is none of {', '.join(GRANT_TYPES)}")
    return names


GrantTypes = Annotated[
    list[str],
    typer.Option(
        "--grant",
        callback=_check_grants,
        help="What it may use: password (the login), refresh_token, client_credentials, "
        f"{TOKEN_EXCHANGE}; repeat for more.",
    ),
]
Keys = Annotated[
    Path | None, typer.Option("--jwks", dir_okay=False, help="File with its public keys, a JWK set (RFC 7517 §5).")
]


@app.command()
@guarded
def add(
    client_id: ClientId,
    name: Annotated[str | None, typer.Option("--name", help="For people. [default: the id]")] = None,
    auth: Annotated[AuthMethod, typer.Option("--auth", help="How it proves who it is.")] = "none",
    grant: GrantTypes = [],  # noqa: B006 - read only, and what typer asks for
    audience: Audiences = [],  # noqa: B006
    jwks: Keys = None,
    permission: Permissions = [],  # noqa: B006
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Make a client. If it has a secret, it is shown here and never again.

    Examples:

        ostraka clients add web-app --audience orders

        ostraka clients add billing --auth private_key_jwt --jwks keys.json --grant client_credentials -p orders:read
    """
    body = {
        "id": client_id,
        "name": name,
        "auth_method": auth,
        "grant_types": grant or None,
        "audiences": audience,
        "jwks": None if jwks is None else read_json(jwks),
        "permissions": permission,
    }
    made = at_work(home, by_login, lambda office: office.ask("POST", "clients", json=body))
    parts = [Text.assemble("client ", (client_id, "bold"), " made")]
    if made["client_secret"] is not None:
        parts.append(Text(f"secret, shown this once: {made['client_secret']}"))
    Output(as_json).result(made, *parts)


@app.command("list")
@guarded
def list_clients(
    limit: Most = MOST, by_login: ByLogin = False, home: HomePath = HOME_DEFAULT, as_json: Json = False
) -> None:
    """List clients.

    Example:

        ostraka clients list
    """
    found = at_work(home, by_login, lambda office: office.all("clients", limit))
    table = headed("CLIENT", "PROVES ITSELF BY", "GRANTS")
    for client in found:
        style = "dim" if client["disabled"] else ""
        table.add_row(*(Text(text, style) for text in (client["id"], client["auth_method"], _grants(client))))
    Output(as_json).result({"clients": found}, table)


@app.command()
@guarded
def show(client_id: ClientId, by_login: ByLogin = False, home: HomePath = HOME_DEFAULT, as_json: Json = False) -> None:
    """Show one client.

    Example:

        ostraka clients show billing
    """
    client = at_work(home, by_login, lambda office: office.ask("GET", "clients", client_id))
    keys = [key["kid"] for key in (client["jwks"] or {"keys": []})["keys"]]
    table = pairs(
        ("client", client["id"]),
        ("name", client["name"]),
        ("proves itself by", client["auth_method"]),
        ("grants", _grants(client)),
        ("audiences", " ".join(client["audiences"]) or "as the issuer is set"),
        ("permissions of its own", " ".join(client["permissions"]) or "none"),
        ("keys", " ".join(keys) or "none"),
        ("disabled", "yes" if client["disabled"] else "no"),
    )
    Output(as_json).result(client, table)


@app.command()
@guarded
def change(
    client_id: ClientId,
    name: Annotated[str | None, typer.Option("--name", help="For people.")] = None,
    grant: GrantTypes = [],  # noqa: B006
    audience: Audiences = [],  # noqa: B006
    jwks: Keys = None,
    reason: MaybeReason = None,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Replace a client's grants, audiences or keys. If it loses one, what was got through it is cut off.

    Example:

        ostraka clients change billing --jwks keys.json
    """
    body = {
        "name": name,
        "grant_types": grant or None,
        "audiences": audience or None,
        "jwks": None if jwks is None else read_json(jwks),
    }
    if all(value is None for value in body.values()):
        raise CommandError("name what is to change: --name, --grant, --audience or --jwks", Exit.USAGE)
    _change(home, by_login, as_json, client_id, {**body, "reason": reason}, "changed")


@app.command()
@guarded
def grant(
    client_id: ClientId,
    permission: Permissions,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Give a client more permissions of its own; tokens minted from now on carry them.

    Example:

        ostraka clients grant billing -p orders:read
    """
    _change(home, by_login, as_json, client_id, {"grant": permission}, "may")


@app.command()
@guarded
def withdraw(
    client_id: ClientId,
    permission: Permissions,
    reason: MaybeReason = None,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Take permissions of its own from a client, and from its tokens that are out already.

    A pattern takes all that it covers; a part of one that the client has is refused.

    Example:

        ostraka clients withdraw billing -p orders:read
    """
    _change(home, by_login, as_json, client_id, {"withdraw": permission, "reason": reason}, "may")


@app.command()
@guarded
def secret(
    client_id: ClientId,
    reason: MaybeReason = None,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Give a client another secret, shown here and never again. What was got with the old one is cut off.

    Example:

        ostraka clients secret billing --reason "was in a log"
    """

    carry_out(
        home,
        by_login,
        as_json,
        lambda office: office.ask("POST", "clients", client_id, "secret", json={"reason": reason}),
        lambda done: f"secret of {client_id}, shown this once: {done['client_secret']}",
    )


@app.command()
@guarded
def disable(
    client_id: ClientId,
    reason: MaybeReason = None,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Cut a client off, and give it no more tokens.

    Example:

        ostraka clients disable billing --reason "taken over"
    """
    _change(home, by_login, as_json, client_id, {"disabled": True, "reason": reason}, "is disabled")


@app.command()
@guarded
def enable(
    client_id: ClientId, by_login: ByLogin = False, home: HomePath = HOME_DEFAULT, as_json: Json = False
) -> None:
    """Let a disabled client ask again. What was cut off stays cut off.

    Example:

        ostraka clients enable billing
    """
    _change(home, by_login, as_json, client_id, {"disabled": False}, "is enabled")


@app.command()
@guarded
def delete(
    client_id: ClientId,
    reason: MaybeReason = None,
    by_login: ByLogin = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Remove a client: its sessions end, and what was got through it is cut off.

    Example:

        ostraka clients delete billing --reason "replaced"
    """

    carry_out(
        home,
        by_login,
        as_json,
        lambda office: office.ask("DELETE", "clients", client_id, params={"reason": reason}),
        lambda _: f"client {client_id} is gone",
    )


def _change(home: Path, by_login: bool, as_json: bool, client_id: str, body: Mapping[str, Any], what: str) -> None:
    async def work(office: Office) -> tuple[dict[str, Any], bool]:
        return await office.ask("PATCH", "clients", client_id, json=body), office.inside

    done, inside = at_work(home, by_login, work)
    client = done.pop("client")
    output = Output(as_json)
    if what == "may":
        what += f" by itself: {' '.join(client['permissions']) or 'nothing'}"
    said = Text.assemble("client ", (client_id, "bold"), f" {what}{progress(done, inside=inside)}")
    output.result({**client, **done}, said)
    if body.get("withdraw"):
        withdrawn(done, body["withdraw"], client["permissions"], f"the client {client_id}", output)
    end(done, output, inside=inside)


def _grants(client: Mapping[str, Any]) -> str:
    return f"{' '.join(client['grant_types'])}{' (disabled)' if client['disabled'] else ''}"
