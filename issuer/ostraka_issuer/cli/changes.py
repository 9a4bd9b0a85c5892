"""What the commands say of a change that may have narrowed somebody's access."""

from collections.abc import Mapping
from typing import Any

import typer

from .exits import Exit
from .output import Output


def counted(number: int, what: str) -> str:
    """So many of them, in words."""
    return f"{number} {what}{'s' if number != 1 else ''}"


def progress(change: Mapping[str, Any], *, inside: bool) -> str:
    """How far the announcement has come, for people; nothing if there was none to make."""
    if change["txn"] is None:
        return ""
    ended = change["sessions_ended"]
    sessions = f"{counted(ended, 'session')} ended; " if ended else ""
    if inside:
        return (
            f"\n{sessions}committed; verifiers are told by the issuer, at once if it runs; transaction {change['txn']}"
        )
    where = "committed, but without a place in the feed yet"
    if change["seq"] is not None:
        bus = "on the bus" if change["published"] else "not on the bus yet: the broker has not taken it"
        where = f"committed at feed position {change['epoch']}:{change['seq']}, {bus}"
    return f"\n{sessions}{where}; transaction {change['txn']}"


def end(change: Mapping[str, Any], output: Output, *, inside: bool) -> None:
    """End the command with the exit code that fits.

    Raises:
        typer.Exit: a running issuer has not told the verifiers yet.
    """
    if change["txn"] is None or inside or change["published"]:
        return
    output.note("It cannot get lost, but verifiers do not know yet: is the issuer well, and the broker?")
    raise typer.Exit(Exit.NOT_READY)
