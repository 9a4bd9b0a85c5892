"""Root documents, for people and for machines."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from ostraka_issuer.home import read_json, write_file
from ostraka_issuer.roots.review import Quorum, quorums
from ostraka_schemas.errors import WireError
from ostraka_schemas.root import RootDocument, read_root_unverified, root_bytes

from .guard import CommandError
from .output import pairs


def load_document(path: Path) -> dict[str, Any]:
    """Read a root document or draft. Whose signatures it bears is asked elsewhere.

    Raises:
        HomeError: it cannot be read.
        CommandError: it is none.
    """
    value = read_json(path)
    try:
        read_root_unverified(value)
    except WireError as error:
        raise CommandError(f"{path} is no root document: {error}") from error
    return value


def store_document(path: Path, value: Mapping[str, Any]) -> None:
    """Write a document or draft; the file is replaced whole or not at all.

    Raises:
        HomeError: it cannot be written.
    """
    write_file(path, root_bytes(value) + b"\n", mode=0o644)


def members_of(value: Mapping[str, Any], current: RootDocument | None) -> dict[str, Any]:
    """All that a document says, and how far it is signed, for machines."""
    document = read_root_unverified(value)
    return {
        **document.model_dump(mode="json"),
        "root": {"keys": [key.kid for key in document.root_keys()], "threshold": document.root.threshold},
        "feed": {"keys": [key.kid for key in document.feed_keys()], "exp": document.feed.exp},
        "quorums": [
            {
                "version": quorum.version,
                "needed": quorum.needed,
                "signed": list(quorum.signed),
                "missing": list(quorum.missing),
            }
            for quorum in quorums(value, current)
        ],
    }


def table_of(value: Mapping[str, Any], current: RootDocument | None) -> Table:
    """The same for people."""
    document = read_root_unverified(value)
    limits = document.limits
    algorithms = " ".join(limits.token_algorithms)
    rows: list[tuple[str, object]] = [
        ("issuer", document.iss),
        ("version", document.version),
        ("epoch", _epoch(document, current)),
        ("valid", f"{when(document.iat)} to {when(document.exp)}"),
        ("root keys", f"{document.root.threshold} of {len(document.root.keys)} must sign"),
        *(("", key.kid) for key in document.root_keys()),
        ("feed key", f"until {when(document.feed.exp)}"),
        *(("", key.kid) for key in document.feed_keys()),
        ("limits", f"tokens {limits.token_lifetime} s by {algorithms}; late {limits.late} s"),
        ("", f"{limits.token_keys} token keys, each for {limits.token_key_lifetime // 86_400} days"),
        ("", f"heartbeat every {limits.heartbeat_interval} s; without news for {limits.max_staleness} s, refuse"),
    ]
    rows += [("signed" if number == 0 else "", said(quorum)) for number, quorum in enumerate(quorums(value, current))]
    return pairs(*rows)


def said(quorum: Quorum) -> Text:
    """How far a threshold is met."""
    missing = "" if quorum.is_met or not quorum.missing else f"; missing: {', '.join(quorum.missing)}"
    text = f"{len(quorum.signed)} of {quorum.needed} that version {quorum.version} asks for{missing}"
    return Text(text, style="green" if quorum.is_met else "yellow")


def _epoch(document: RootDocument, current: RootDocument | None) -> str:
    if current is None or document.epoch == current.epoch:
        return str(document.epoch)
    return f"{document.epoch}, a new one: every token minted before is refused"


def when(seconds: int) -> str:
    """A time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
