"""Mutate the trust core: ``./run mutate [MODULE ...] [--again] [--processes N]``."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from . import reasons, results, stage
from .page import GOAL, page, rate
from .results import Mutant

PAGE = stage.ROOT / "docs" / "reference" / "mutation.md"


def run_mutmut(patterns: Sequence[str], processes: int) -> None:
    """Run mutmut in the copy; it shows how far it has come.

    Raises:
        subprocess.CalledProcessError: the tests fail without any mutant, or mutmut itself does.
    """
    program = Path(sys.executable).with_name("mutmut")
    environment = {**os.environ, "OSTRAKA_HYPOTHESIS": "mutation"}
    command = [str(program), "run", "--max-children", str(processes), *patterns]
    subprocess.run(command, cwd=stage.STAGE, env=environment, check=True)


def show(survivors: Sequence[Mutant], known: Sequence[reasons.Reason]) -> int:
    """Print the survivors that no reason covers, and return how many there are."""
    unexplained = [mutant for mutant, reason in reasons.match(survivors, known).items() if reason is None]
    for mutant in unexplained:
        print(f"\n{mutant.where} ({mutant.status}, {mutant.name})\n  - {mutant.was}\n  + {mutant.now}")
    return len(unexplained)


def main(arguments: list[str]) -> int:
    """Run as a command; returns 0 if enough were killed and every other one has its reason, else 1."""
    parser = argparse.ArgumentParser(
        prog="./run mutate", description=f"Change the trust core in small ways; the tests must notice {GOAL:.0%}."
    )
    parser.add_argument(
        "modules", nargs="*", help="modules, such as freshness; all by default, and the page is written"
    )
    parser.add_argument(
        "--again", action="store_true", help="only what has changed since, and what lived the last time"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many at a time")
    options = parser.parse_args(arguments)
    patterns = [f"{stage.PACKAGE.relative_to('src')}/{name}".replace("/", ".") + ".*" for name in options.modules]
    if options.again:
        stage.refresh()
        living = [mutant for mutant in results.read(stage.STAGE) if not mutant.killed]
        todo = [mutant.name for mutant in living if not patterns or mutant.module in options.modules]
    else:
        stage.build()
        todo = patterns
    if todo or not options.again:
        run_mutmut(todo, options.processes)
    if options.again and not patterns:
        run_mutmut([], options.processes)
    mutants = [m for m in results.read(stage.STAGE) if not options.modules or m.module in options.modules]
    survivors = [mutant for mutant in mutants if not mutant.killed]
    known = [r for r in reasons.load() if not options.modules or r.where.split(".")[0] in options.modules]
    missing = show(survivors, known)
    for line in reasons.idle(survivors, known):
        print(f"a reason without a survivor: {line}")
    print(f"\n{rate(mutants):.1%} of {len(mutants)} mutants killed, {len(survivors)} live, {missing} without a reason")
    if not options.modules:
        PAGE.write_text(page(mutants, known))
    return 0 if rate(mutants) >= GOAL and not missing else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
