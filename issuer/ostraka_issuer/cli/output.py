"""Where the commands write: results to standard output, everything else to standard error.

With ``--json`` standard output carries JSON only: one document, or one document a line from commands that go on.
"""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

LOGO_STYLE = "bold"
_MARK = "\N{REPLACEMENT CHARACTER}"
_WIDTH_OF_A_PIPE = 120
"""Nobody reads a pipe in 80 columns."""


def standard_output() -> Console:
    """The console for results. Made anew each time, so that redirection is seen."""
    console = Console(highlight=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, soft_wrap=True, width=_WIDTH_OF_A_PIPE)


def standard_error() -> Console:
    """The console for progress and errors."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Output:
    """Writes a result the way the caller asked for."""

    as_json: bool

    def result(self, document: Mapping[str, Any], *human: RenderableType) -> None:
        """Write ``document`` as one line of JSON, or the ``human`` parts, one below the other."""
        if self.as_json:
            self.line(document)
            return
        self.show(*human)

    def show(self, *human: RenderableType) -> None:
        """Write parts of a result for people, one below the other."""
        console = standard_output()
        for part in human:
            console.print(_harmless(part), markup=False)

    def line(self, document: Mapping[str, Any]) -> None:
        """Write one line of JSON, at once."""
        # Not through rich: it would wrap and colour.
        print(json.dumps(document, ensure_ascii=False), flush=True)  # noqa: T201

    def note(self, text: str) -> None:
        """Say something to a person that is no part of the result."""
        standard_error().print(printable(text), markup=False)


def printable(text: str) -> str:
    """``text`` with a mark in place of each character that would steer the terminal or turn the line around.

    What is shown may have been written by anybody: a reason, the name of a client, a claim of a token.
    """
    return "".join(_MARK if _steers(char) else char for char in text)


def _steers(char: str) -> bool:
    return char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cf", "Cs")


def _harmless(part: RenderableType) -> RenderableType:
    if isinstance(part, Text):
        part.plain = printable(part.plain)  # one for one, so styles stay where they are
        return part
    return printable(part) if isinstance(part, str) else part


def pairs(*rows: tuple[str, object]) -> Table:
    """A list of names and values."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, _harmless(value if isinstance(value, Text) else Text(str(value))))
    return table


def headed(*columns: str) -> Table:
    """An empty table with column heads and no other lines; what the last column has no room for goes on below."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    *fixed, last = columns
    for column in fixed:
        table.add_column(column, no_wrap=True)
    table.add_column(last, overflow="fold")
    return table
