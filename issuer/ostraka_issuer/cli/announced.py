"""What the commands say of an announcement that the issuer has committed."""

from typing import Any

import typer

from ostraka_issuer.api_client import Announced

from .exits import Exit
from .output import Output


def document_of(done: Announced) -> dict[str, Any]:
    """All of it, for machines."""
    return {
        "txn": done.txn,
        "epoch": done.epoch or None,
        "seq": done.seq,
        "published": done.published,
        "committed_at": done.committed_at,
        **done.rest,
    }


def progress_of(done: Announced) -> str:
    """How far it has come, for people."""
    if done.seq is None:
        return "committed, but without a place in the feed yet"
    where = f"committed at feed position {done.epoch}:{done.seq}"
    if done.published:
        return f"{where}, and on the bus"
    return f"{where}; the broker has not taken it yet: it is sent as soon as it can be reached"


def end(done: Announced, output: Output) -> None:
    """End the command with the exit code that fits.

    Raises:
        typer.Exit: verifiers cannot know of it yet.
    """
    if done.seq is None:
        output.note("It cannot get lost, but has no place in the feed yet: is the issuer well?")
    if done.seq is None or not done.published:
        raise typer.Exit(Exit.NOT_READY)
