"""``ostraka root key``: make a root key, wherever it is to be kept."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ostraka_issuer.roots.keyfile import RootKeyFile, write_root_key
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.root import FEED_ALGORITHM

from .guard import guarded
from .options import Json
from .output import Output
from .passphrases import PassphraseFile, PassphraseFromStdin, given_passphrase


@guarded
def key(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the private key. Keep it secret.")],
    passphrase_stdin: PassphraseFromStdin = False,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Make a root key, on the machine where it will be used. What is printed is its public half, for `root new`.

    The file is encrypted if there is a passphrase: from the options, or the variable OSTRAKA_ROOT_PASSPHRASE.

    Example:

        ostraka root key --out root-b.pem > root-b.json
    """
    passphrase = given_passphrase(from_stdin=passphrase_stdin, file=passphrase_file)
    made = SigningKey.generate(FEED_ALGORITHM)
    write_root_key(RootKeyFile(out.expanduser(), passphrase), made)
    public = made.public.to_jwk()
    output = Output(as_json)
    output.result(public, json.dumps(public))
    how = "encrypted" if passphrase else "NOT encrypted: whoever reads it can sign"
    output.note(f"the private key is in {out}, {how}")
