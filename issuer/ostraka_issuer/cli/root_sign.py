"""``ostraka root sign``: add a signature. It needs the document and the key, no home and no network."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ostraka_issuer.home import Home
from ostraka_issuer.keys.files import KeyDirectory
from ostraka_issuer.keys.opening import given_secret, open_vault
from ostraka_issuer.keys.sealed import KeyUse
from ostraka_issuer.roots.keyfile import read_root_key
from ostraka_issuer.roots.review import quorums
from ostraka_issuer.settings import load_settings
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.root import read_root_unverified, with_signature

from .exits import Exit
from .guard import CommandError, guarded
from .options import HOME_DEFAULT, HomePath, Json
from .output import Output, standard_error
from .passphrases import PassphraseFile, PassphraseFromStdin, needed_passphrase
from .root_text import load_document, members_of, said, store_document, table_of


@guarded
def sign(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The draft, or what others have signed already.")],
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="KEYFILE", help="The root key. [default: what is sealed in the home, if it is]"),
    ] = None,
    passphrase_stdin: PassphraseFromStdin = False,
    passphrase_file: PassphraseFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Show a root document and sign it. On any machine: this needs the document and the key, and nothing else.

    Only a home made with `ostraka init --profile dev` holds its root key itself; for it, leave --key out.

    Examples:

        ostraka root sign root-2.json --key /media/stick/root.pem

        ostraka root sign root-2.json --home ./issuer
    """
    value = load_document(file)
    keys = [_from_file(key, passphrase_stdin, passphrase_file)] if key else _from_home(home)
    standard_error().print(table_of(value, None), markup=False)
    if not yes and sys.stdin.isatty():
        typer.confirm("Sign this?", abort=True, err=True)
    for one in keys:
        value = with_signature(value, one)
    store_document(file, value)
    kids = [one.kid for one in keys]
    Output(as_json).result({"signed_with": kids, **members_of(value, None)}, *_lines(value, kids))


def _from_file(path: Path, from_stdin: bool, file: Path | None) -> SigningKey:
    path = path.expanduser()
    return read_root_key(path, needed_passphrase(path, from_stdin=from_stdin, file=file))


def _from_home(path: Path) -> list[SigningKey]:
    settings = load_settings(home=path)
    home = Home(settings.home)
    if given_secret(settings) is None and not home.secret.exists():
        raise CommandError("say which key signs: --key KEYFILE", Exit.USAGE)
    directory = KeyDirectory(home.keys, open_vault(settings))
    kids = directory.names(KeyUse.ROOT)
    if not kids:
        raise CommandError(
            f"the root key is not in {home.path}, as it should be; bring it with --key KEYFILE", Exit.USAGE
        )
    return [directory.load(KeyUse.ROOT, kid) for kid in kids]


def _lines(value: dict[str, Any], kids: Sequence[str]) -> list[Text]:
    (own,) = quorums(value, None)
    lines = [Text(f"signed with {kid}") for kid in kids]
    named = {key.kid for key in read_root_unverified(value).root_keys()}
    lines += [
        Text(f"{kid} is no root key of this version: it counts only if the version before names it", style="yellow")
        for kid in kids
        if kid not in named
    ]
    return [*lines, said(own)]
