"""The words of the command, and where each is written. A module is loaded when its word is used: some bring a web
server or a Kafka client, which nobody should wait for who wants something else.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command as build


@dataclass(frozen=True, slots=True)
class Word:
    """One word: its module in this package, what it is called there (an app or a function), and a line for the list.

    Attributes:
        settings: whether it reads the issuer's settings; what the desk starts has its own.
    """

    module: str
    attribute: str
    line: str
    settings: bool = True


WORDS: Final = {
    "demo": Word("demo", "demo", "Play the story against a fresh system on this machine, and measure it.", False),
    "dev": Word(
        "dev", "dev", "Start everything on this machine: a broker, the issuer, and two orders services.", False
    ),
    "init": Word(
        "init", "init", "Make a new issuer: keys, root document, trust anchor and database, in an empty directory."
    ),
    "serve": Word("serve", "serve", "Run the issuer: HTTP and the feed."),
    "users": Word("users", "app", "People: who they are, what they may do, and their end."),
    "roles": Word("roles", "app", "Permissions under a name, for users to have together."),
    "clients": Word("clients", "app", "The programs that ask for tokens, their secrets and keys."),
    "sessions": Word("sessions", "app", "Who is logged in."),
    "audit": Word("audit", "audit", "Show who changed what, newest first."),
    "login": Word(
        "login",
        "login",
        "Log in, and keep the login in HOME/session.json for the other commands; they renew it as needed.",
    ),
    "logout": Word("login", "logout", "End the session, and forget the login here."),
    "revoke": Word("revoke", "app", "Cut off a token, session, user, client, permission, or everyone."),
    "keys": Word("keys", "app", "List, rotate and cut off the keys that sign tokens."),
    "root": Word("root", "app", "Root documents: which keys may sign the feed, and within what limits."),
    "config": Word("config", "app", "Show and check the settings."),
    "watch": Word("watch", "watch", "Show the feed, each record verified, as it comes."),
    "verify": Word("verify", "verify", "Decide on a token as a service would, and show each step."),
}

OPTIONS: Final[dict[str, Any]] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": "markdown",
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
"""What every part of the command is built with."""


class Words(TyperGroup):
    """A group that lists its commands without loading them."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the library gives it
        """The words in the order of ``WORDS``."""
        return list(WORDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the library gives it
        """A stand-in that can be listed."""
        word = WORDS.get(cmd_name)
        return None if word is None else TyperCommand(cmd_name, help=word.line)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command itself."""
        if args and args[0] in WORDS:
            return args[0], load(args[0]), args[1:]
        return super().resolve_command(ctx, args)


def load(name: str) -> Any:
    """Load a word's module and return the command."""
    word = WORDS[name]
    found = getattr(import_module(f".{word.module}", __package__), word.attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(**OPTIONS)
        single.command(name)(found)
        found = single
    return _with_config(build(found)) if word.settings else build(found)


def _with_config(command: Any) -> Any:
    # Here and not above: the frame itself needs no settings, and pydantic takes its time.
    return import_module(".config_file", __package__).add_config_option(command)
