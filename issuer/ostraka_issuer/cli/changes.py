"""What the commands say of a change that may have narrowed somebody's access."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from ostraka_schemas.permissions import overlaps

from .exits import Exit
from .office import Office, at_work
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


def withdrawn(
    change: Mapping[str, Any], permissions: Sequence[str], left: Iterable[str], whose: str, output: Output
) -> None:
    """Say what a withdrawal did not do, if it did not take all that it named.

    Args:
        change: the answer.
        permissions: what was to be taken.
        left: what the holder may do now.
        whose: the holder.
    """
    if still := [held for held in left if any(overlaps(held, each) for each in permissions)]:
        output.note(f"{whose} still holds {' '.join(still)}")
    elif change["announced"] == 0:
        output.note(f"{whose} held nothing of that: nobody lost anything")


def end(change: Mapping[str, Any], output: Output, *, inside: bool) -> None:
    """End the command with the exit code that fits.

    Raises:
        typer.Exit: a running issuer has not told the verifiers yet.
    """
    if change["txn"] is None or inside or change["published"]:
        return
    output.note("It cannot get lost, but verifiers do not know yet: is the issuer well, and the broker?")
    raise typer.Exit(Exit.NOT_READY)


def carry_out(
    home: Path,
    by_login: bool,
    as_json: bool,
    work: Callable[[Office], Awaitable[dict[str, Any]]],
    said: Callable[[Mapping[str, Any]], str],
) -> None:
    """Make a change at the doors, say what it was and how far it has come, and end as it did.

    Args:
        work: asks for the change.
        said: what to say of the answer.

    Raises:
        CommandError, IssuerError: as ``at_work``.
        typer.Exit: as ``end``.
    """

    async def change(office: Office) -> tuple[dict[str, Any], bool]:
        return await work(office), office.inside

    done, inside = at_work(home, by_login, change)
    output = Output(as_json)
    output.result(done, Text(f"{said(done)}{progress(done, inside=inside)}"))
    end(done, output, inside=inside)
