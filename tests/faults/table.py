"""The page made from the rows."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.faults.rows.base import Result, Row, Scale
from tests.faults.scene import TOLERANCE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "faults.md"
KEPT = "kept"


class Played(NamedTuple):
    """A row and what came of it."""

    row: Row
    result: Result
    seconds: float


def page(played: Sequence[Played], scale: Scale, broker: str, *, before: str = "", order: Sequence[str] = ()) -> str:
    """The page, as text.

    Args:
        before: the page as it was: rows that were not played now stay as they are.
        order: the names of all rows; what has another is left out. By default those that were played.
    """
    lines = {_cells(line)[0]: line for line in before.splitlines() if line.startswith("| F")}
    lines |= {one.row.name: _line(one) for one in played}
    rows = [lines[name] for name in order or [one.row.name for one in played] if name in lines]
    kept = sum(_cells(row)[-1] == KEPT for row in rows)
    worst = max([0.0, *(float(cell.removesuffix(" s")) for row in rows if (cell := _cells(row)[-2]))])
    bound = scale.max_staleness + TOLERANCE
    return "\n".join(
        [
            "# Faults",
            "",
            "Written by `./run faults`, which plays every row: a real broker, issuer and verifiers in processes of",
            "their own, which decide all the time while something goes wrong. After each row the history must show",
            "that no revoked token was accepted later than the bound, no good token was refused but for want of news",
            "while the fault lasted, nothing was taken back, no position had two contents, and all were well at last.",
            "",
            f"{broker}, {os.cpu_count()} cores. Verifiers refuse after {scale.max_staleness:.0f} s without news",
            f"(`max_staleness`), heartbeats come every {scale.heartbeat} s, clocks may differ by {TOLERANCE:.0f} s:",
            f"the bound is {bound:.0f} s, where a row names no other. {kept} of {len(rows)} rows kept every promise;",
            f"the longest that any revoked token was accepted is {worst:.1f} s.",
            "",
            "| row | done | what happened | longest accepted after revocation | verdict |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _cells(line: str) -> list[str]:
    return line.removeprefix("| ").removesuffix(" |").split(" | ")


def _line(played: Played) -> str:
    row, result = played.row, played.result
    worst = "" if result.worst is None else f"{result.worst:.2f} s"
    cells = [row.name, row.done, "<br>".join(result.figures), worst, verdict(result)]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def verdict(result: Result) -> str:
    """In a word, or in what was broken."""
    return KEPT if not result.broken else "**broken**: " + "; ".join(result.broken)
