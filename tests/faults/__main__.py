"""Play the rows whole and write the table: ``./run faults [--short] [ROW …]``."""

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.faults.rows import ROWS
from tests.faults.rows.base import SHORT, WHOLE, Result, Row, Scale
from tests.faults.stage import Stage, missing, open_stage
from tests.faults.table import PAGE, Played, page, verdict

WORDS_MAX = 200
"""Of a failure that is no broken promise; the rest of it is printed."""


async def play(rows: list[Row], scale: Scale) -> tuple[list[Played], str]:
    """Play them one after another; returns what came of each, and the broker's name."""
    played = []
    async with open_stage() as stage:
        for row in rows:
            print(f"{row.name}: {row.done}", flush=True)
            begin = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="ostraka-faults-") as directory:
                result = await _play(row, stage, Path(directory), scale)
            played.append(Played(row, result, time.monotonic() - begin))
            worst = [] if result.worst is None else [f"accepted for at most {result.worst:.2f} s after revocation"]
            for line in (*result.figures, *worst, f"{verdict(result)}, {played[-1].seconds:.0f} s"):
                print(f"    {line}", flush=True)
        return played, stage.broker.kind


async def _play(row: Row, stage: Stage, directory: Path, scale: Scale) -> Result:
    try:
        return await row.play(stage, directory, scale)
    except Exception as failure:  # noqa: BLE001 - whatever it is, the other rows are to be played
        traceback.print_exc()
        words = (str(failure) or type(failure).__name__).replace("\n", " ").replace(str(directory), "")
        return Result((), None, (words[:WORDS_MAX],))


def main(arguments: list[str]) -> int:
    """Run as a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tests.faults", description="Play faults on real parts and tabulate them.")
    parser.add_argument("rows", nargs="*", help="names, or beginnings of names; without any, all, and the table")
    parser.add_argument("--short", action="store_true", help="as in every test run; writes no table")
    options = parser.parse_args(arguments)
    rows = [row for row in ROWS if not options.rows or any(row.name.startswith(name) for name in options.rows)]
    if not rows:
        print(f"faults: no such row; there are {', '.join(row.name for row in ROWS)}", file=sys.stderr)
        return 2
    reasons = {reason for reason in (missing(), *(row.missing() for row in rows)) if reason is not None}
    if reasons:
        print(f"faults: {'; '.join(sorted(reasons))}", file=sys.stderr)
        return 2
    scale = SHORT if options.short else WHOLE
    played, broker = asyncio.run(play(rows, scale))
    if not options.rows and not options.short:
        PAGE.write_text(page(played, scale, broker))
        print(f"written to {PAGE.relative_to(PAGE.parents[2])}")
    return 1 if any(one.result.broken for one in played) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
