"""``ostraka init``: make an issuer's home."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ostraka_issuer.accounts.offline import open_accounts
from ostraka_issuer.accounts.passwords import Passwords
from ostraka_issuer.home import Home
from ostraka_issuer.provision import NewHome, create_home
from ostraka_issuer.roots.keyfile import RootKeyFile
from ostraka_issuer.settings import IssuerSettings, load_settings

from . import checks
from .guard import CommandError, guarded
from .options import HOME_DEFAULT, HomePath, Json, PasswordFromStdin, issuer_option
from .output import Output
from .passphrases import given_passphrase
from .passwords import generate_password, read_password

OPERATOR_PERMISSIONS = ("revocations:*", "keys:*")


class Profile(StrEnum):
    """What becomes of the root key."""

    PRODUCTION = "production"
    DEV = "dev"


@guarded
def init(
    home: HomePath = HOME_DEFAULT,
    issuer: Annotated[str | None, issuer_option("Identifier of the issuer: the URL it is reached at.")] = None,
    operator: Annotated[
        str | None,
        typer.Option(
            "--operator",
            metavar="NAME",
            callback=checks.user_name,
            help="Also make a user who may revoke and rotate keys.",
        ),
    ] = None,
    password_stdin: PasswordFromStdin = False,
    profile: Annotated[
        Profile,
        typer.Option(
            "--profile", help="production: the root key goes to a file, to be taken away. dev: it stays in the home."
        ),
    ] = Profile.PRODUCTION,
    root_key: Annotated[
        Path | None, typer.Option("--root-key", metavar="FILE", help="Where it goes. [default: HOME/root.pem]")
    ] = None,
    root_passphrase_stdin: Annotated[
        bool,
        typer.Option(
            "--root-passphrase-stdin",
            help="Encrypt that file with a passphrase: a line of standard input, after the password if there is one.",
        ),
    ] = False,
    root_passphrase_file: Annotated[
        Path | None,
        typer.Option("--root-passphrase-file", help="The same from the first line of a file."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a new issuer: keys, root document, trust anchor and database, in an empty directory.

    Without --password-stdin the operator gets a random password, shown once.

    The root key decides which keys may sign the feed. It is needed once a year, and when a key is stolen: take its file
    to a place that no network reaches. Whoever loses it deploys every trust anchor anew.

    Examples:

        ostraka init --issuer https://id.example.com --operator ops --root-key /media/stick/root.pem

        ostraka init --profile dev

        echo "$SECRET" | ostraka init --home /var/lib/ostraka --operator ops --password-stdin
    """
    settings = load_settings(home=home, issuer=issuer)
    _see_that_it_is_free(settings.home)
    given = read_password(from_stdin=True) if password_stdin and operator else None
    password = given or generate_password()
    file = _root_key_file(settings.home, profile, root_key, root_passphrase_stdin, root_passphrase_file)
    made = asyncio.run(_make(settings, operator, password, file))
    document = {**_document(made, operator), "root_key_file": None if file is None else str(file.path)}
    if operator is not None and given is None:
        document["operator_password"] = password
    Output(as_json).result(document, _summary(made, operator, None if given else password), *_farewell(file))


def _root_key_file(
    home: Path, profile: Profile, path: Path | None, passphrase_stdin: bool, passphrase_file: Path | None
) -> RootKeyFile | None:
    if profile is Profile.DEV:
        if path or passphrase_stdin or passphrase_file:
            raise typer.BadParameter("with --profile dev it is sealed in the home", param_hint="--root-key")
        return None
    path = Home(home).root_key if path is None else path.expanduser().absolute()
    if path.exists():
        raise CommandError(f"{path} is there already; a key file is never overwritten")
    return RootKeyFile(path, given_passphrase(from_stdin=passphrase_stdin, file=passphrase_file))


async def _make(settings: IssuerSettings, operator: str | None, password: str, root_key: RootKeyFile | None) -> NewHome:
    if operator is not None:
        await _check(password, settings)
    made = await create_home(settings, root_key=root_key)
    if operator is not None:
        async with open_accounts(settings) as accounts:
            await accounts.add_user(operator, password, OPERATOR_PERMISSIONS)
    return made


async def _check(password: str, settings: IssuerSettings) -> None:
    """Hash it once for nothing: a password that breaks a rule is refused before there is a home."""
    passwords = Passwords(settings.password_profile)
    try:
        await passwords.hash(password)
    finally:
        await passwords.close()


def _see_that_it_is_free(path: Path) -> None:
    if path.is_dir() and any(path.iterdir()):
        what = "is a home already" if Home(path).anchor.exists() else "is not empty"
        raise CommandError(f"{path} {what}; choose another with --home (or OSTRAKA_HOME), or remove it first")


def _document(made: NewHome, operator: str | None) -> dict[str, Any]:
    return {
        "home": str(made.home.path),
        "issuer": made.anchor.issuer,
        "anchor": str(made.home.anchor),
        "root_key": made.root_kid,
        "feed_key": made.feed_kid,
        "token_key": made.token_kid,
        "operator": operator,
    }


def _summary(made: NewHome, operator: str | None, shown_password: str | None) -> Text:
    home = made.home
    text = Text.assemble(("A new issuer: ", "bold"), made.anchor.issuer, "\n\n")
    text.append(f"  {_short(home.anchor)}  give this to every service: it is all they need to trust you\n")
    if home.secret.exists():
        text.append(f"  {_short(home.secret)}  keep this secret, and a copy: it opens the private keys\n")
    if home.database.exists():
        text.append(f"  {_short(home.database)}  users, sessions and the feed: back it up\n")
    if operator is not None and shown_password is not None:
        text.append(f"\n  operator {operator}, password ")
        text.append(shown_password, style="bold")
        text.append("   (shown once)\n")
    elif operator is not None:
        text.append(f"\n  operator {operator}\n")
    text.append(f"\nStart it with:  ostraka serve --home {home.path}")
    return text


def _farewell(file: RootKeyFile | None) -> tuple[Text, ...]:
    if file is None:
        return (Text("\nThe root key is sealed in this home: good for a try, not for production.", style="yellow"),)
    how = "encrypted" if file.passphrase else "not encrypted"
    return (
        Text.assemble(
            ("\nTake the root key away from this machine now:  ", "bold yellow"),
            f"{file.path}  ({how})\n",
            "It decides which keys may sign the feed. It is needed once a year, and when a feed key is stolen.\n"
            "Keep it offline, with a copy. If it is lost, every trust anchor must be deployed anew; if it is\n"
            "stolen, whoever has it can be this issuer.",
        ),
    )


def _short(path: Path) -> str:
    return str(path).ljust(len(str(path.parent)) + len("/anchor.json"))
