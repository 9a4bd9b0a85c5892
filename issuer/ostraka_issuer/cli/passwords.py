"""Where a password comes from: standard input, the environment, or a person. Never an argument: `ps` shows those."""

import os
import secrets
import sys
from typing import Final

import typer

from .exits import Exit
from .guard import CommandError

PASSWORD_VARIABLE: Final = "OSTRAKA_PASSWORD"  # noqa: S105 - the variable's name
_LINE_MAX: Final = 4_096
_GENERATED_BYTES: Final = 18


def read_password(*, from_stdin: bool, confirm: bool = False, prompt: str = "Password") -> str:
    """Get a password.

    Args:
        from_stdin: read one line of standard input.
        confirm: a person types it twice.

    Raises:
        CommandError: there is none, and nobody to ask.
    """
    if from_stdin:
        password = sys.stdin.readline(_LINE_MAX).rstrip("\r\n")
    elif PASSWORD_VARIABLE in os.environ:
        password = os.environ[PASSWORD_VARIABLE]
    elif sys.stdin.isatty():
        password = str(typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True))
    else:
        raise CommandError(f"no password: use --password-stdin, or set {PASSWORD_VARIABLE}", Exit.USAGE)
    if not password:
        raise CommandError("the password is empty", Exit.USAGE)
    return password


def generate_password() -> str:
    """A password that nobody can guess: 144 random bits."""
    return secrets.token_urlsafe(_GENERATED_BYTES)
