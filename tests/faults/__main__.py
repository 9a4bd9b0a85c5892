"""Play the rows whole and write the table: ``./run faults [--short] [ROW …]``."""

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

from tests.faults.rows import ROWS
from tests.faults.rows.base import SHORT, WHOLE, Result, Row, Scale
from tests.faults.stage import Stage, missing, open_stage
from tests.faults.table import PAGE, Played, page, verdict

STAGES = 2
"""So many brokers, each with its scenes: most rows mostly wait."""
WORDS_MAX = 200
"""Of a failure that is no broken promise; the rest of it is printed."""


async def play(rows: list[Row], scale: Scale) -> tuple[list[Played], str]:
    """Play them, several at a time where they let each other; returns what came of each, and the broker's name."""
    played: dict[str, Played] = {}
    beside = iter([row for row in rows if not row.alone])
    async with AsyncExitStack() as stack:
        stages = [await stack.enter_async_context(open_stage()) for _ in range(STAGES)]
        await asyncio.gather(*(_play_all(beside, stage, scale, played) for stage in stages))
        await _play_all(iter([row for row in rows if row.alone]), stages[0], scale, played)
        return [played[row.name] for row in rows], stages[0].broker.kind


async def _play_all(rows: Iterator[Row], stage: Stage, scale: Scale, played: dict[str, Played]) -> None:
    """Play rows until there are none left."""
    for row in rows:
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="ostraka-faults-") as directory:
            result = await _play(row, stage, Path(directory), scale)
        played[row.name] = Played(row, result, time.monotonic() - begin)
        _tell(played[row.name])


def _tell(played: Played) -> None:
    row, result, seconds = played
    worst = [] if result.worst is None else [f"accepted for at most {result.worst:.2f} s after revocation"]
    lines = (*result.figures, *worst, f"{verdict(result)}, {seconds:.0f} s")
    print(f"{row.name}: {row.done}", *lines, sep="\n    ", flush=True)


async def _play(row: Row, stage: Stage, directory: Path, scale: Scale) -> Result:
    try:
        return await row.play(stage, directory, scale)
    except Exception as failure:  # noqa: BLE001 - whatever it is, the other rows are to be played
        traceback.print_exc()
        words = (str(failure) or type(failure).__name__).replace("\n", " ").replace(str(directory), "")
        return Result((), None, (words[:WORDS_MAX],))


def main(arguments: list[str]) -> int:
    """Run as a command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="./run faults",
        description="Play faults on real parts and write what came of them to docs/reference/faults.md."
        " All of them take some forty minutes.",
        epilog="\n".join(["rows:", *(f"  {row.name:16} {row.done}" for row in ROWS)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", help="names of rows, or their beginnings; all by default")
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
    if not options.short:
        before = PAGE.read_text() if PAGE.exists() else ""
        PAGE.write_text(page(played, scale, broker, before=before, order=[row.name for row in ROWS]))
        print(f"written to {PAGE.relative_to(PAGE.parents[2])}")
    return 1 if any(one.result.broken for one in played) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
