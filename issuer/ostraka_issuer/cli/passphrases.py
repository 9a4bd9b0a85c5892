"""Where the passphrase of a root key comes from. Like a password's, never an argument."""

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from ostraka_issuer.roots.keyfile import is_encrypted

from .exits import Exit
from .guard import CommandError

PASSPHRASE_VARIABLE: Final = "OSTRAKA_ROOT_PASSPHRASE"  # noqa: S105 - the variable's name
_MAX: Final = 1_023
"""Bytes of a passphrase that OpenSSL takes."""

PassphraseFromStdin = Annotated[
    bool, typer.Option("--passphrase-stdin", help="Read the key file's passphrase from a line of standard input.")
]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Read the key file's passphrase from the first line of a file.")
]


def given_passphrase(*, from_stdin: bool, file: Path | None) -> bytes | None:
    """The passphrase that was given: by standard input, a file, or the environment; ``None`` if there is none.

    Raises:
        CommandError: it is empty or too long, or the file cannot be read.
    """
    if from_stdin:
        return _checked(sys.stdin.readline(_MAX + 2))
    if file is not None:
        try:
            with file.expanduser().open(encoding="utf-8") as text:
                return _checked(text.readline(_MAX + 2))
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"cannot read a passphrase from {file}") from error
    text_given = os.environ.get(PASSPHRASE_VARIABLE)
    return None if text_given is None else _checked(text_given)


def needed_passphrase(path: Path, *, from_stdin: bool, file: Path | None) -> bytes | None:
    """The passphrase of a key file; a person is asked for it if it is needed and was not given.

    Raises:
        KeyStoreError: the key file cannot be read.
        CommandError: as above, or it is needed and there is nobody to ask.
    """
    given = given_passphrase(from_stdin=from_stdin, file=file)
    if given is not None or not is_encrypted(path):
        return given
    if not sys.stdin.isatty():
        raise CommandError(
            f"{path} is encrypted: use --passphrase-stdin or --passphrase-file, or set {PASSPHRASE_VARIABLE}",
            Exit.USAGE,
        )
    return _checked(str(typer.prompt(f"Passphrase of {path}", hide_input=True, err=True)))


def _checked(text: str) -> bytes:
    passphrase = text.rstrip("\r\n").encode("utf-8", "surrogateescape")
    if not 1 <= len(passphrase) <= _MAX:
        raise CommandError(f"a passphrase has 1 to {_MAX} bytes", Exit.USAGE)
    return passphrase
