"""The page made from the rows."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.faults.rows.base import Result, Row, Scale
from tests.faults.scene import TOLERANCE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "faults.md"


class Played(NamedTuple):
    """A row and what came of it."""

    row: Row
    result: Result
    seconds: float


def page(played: Sequence[Played], scale: Scale, broker: str) -> str:
    """The page, as text."""
    kept = sum(not p.result.broken for p in played)
    worst = max((p.result.worst for p in played if p.result.worst is not None), default=0.0)
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
            f"the bound is {bound:.0f} s. {kept} of {len(played)} rows kept every promise; the longest that any",
            f"revoked token was accepted is {worst:.1f} s.",
            "",
            "| row | done | what happened | longest accepted after revocation | verdict |",
            "|---|---|---|---|---|",
            *(_line(one) for one in played),
            "",
        ]
    )


def _line(played: Played) -> str:
    row, result = played.row, played.result
    worst = "" if result.worst is None else f"{result.worst:.2f} s"
    cells = [row.name, row.done, "<br>".join(result.figures), worst, verdict(result)]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def verdict(result: Result) -> str:
    """In a word, or in what was broken."""
    return "kept" if not result.broken else "**broken**: " + "; ".join(result.broken)
