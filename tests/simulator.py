"""Play random schedules of a hostile world against real verifiers: ``./run simulate --help``."""

import argparse
import os
import sys
from random import SystemRandom

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.simulation.hunt import Failing, hunt
from tests.simulation.remembered import remembered
from tests.simulation.runner import run
from tests.simulation.schedule import Schedule, make
from tests.simulation.shrink import shrink
from tests.simulation.story import Story
from tests.simulation.unheard import unheard

SCHEDULES = 20_000


def main(arguments: list[str]) -> int:
    """Run as a command; returns the exit code: 1 if a rule was broken."""
    parser = argparse.ArgumentParser(
        prog="./run simulate",
        description="Play schedules of crashes, clocks and a hostile bus against real verifiers, and check every "
        "invariant. With --seed alone, one schedule is played and told as a story.",
    )
    parser.add_argument("--schedules", type=int, help=f"how many (default {SCHEDULES:,}; with --seed alone: one, told)")
    parser.add_argument("--seed", type=int, help="the first one (default: any)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: one a processor")
    parser.add_argument("--whole", action="store_true", help="tell a failing schedule without shortening it")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    if options.seed is not None and options.schedules is None:
        return _tell(console, make(options.seed), whole=options.whole)
    first = SystemRandom().randrange(10**9) if options.seed is None else options.seed
    count = options.schedules or SCHEDULES
    found = _hunt(console, first, count, max(1, options.processes))
    if not found:
        console.print(f"{count:,} schedules from seed {first}: every rule held.")
        return 0
    for failing in found:
        for violation in failing.violations:
            console.print(f"seed {failing.seed}: {violation}", markup=False)
    console.print(f"Again, as a story: ./run simulate --seed {found[0].seed}\n")
    return _tell(console, make(found[0].seed), whole=options.whole)


def _hunt(console: Console, first: int, count: int, processes: int) -> list[Failing]:
    columns = (TextColumn("schedules"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("schedules", total=count)
        return hunt(first, count, processes, lambda played: bar.advance(task, played))


def _tell(console: Console, schedule: Schedule, *, whole: bool) -> int:
    """Play one schedule and tell its story; if a rule breaks, the shortest that still breaks it."""
    with remembered(), unheard():
        _, violations = run(schedule)
        if violations and not whole:
            schedule = shrink(schedule, violations[0].rule)
        story = Story()
        _, violations = run(schedule, story)
    for line in story.lines:
        console.print(line, markup=False)
    console.print()
    for violation in violations:
        console.print(f"BROKEN {violation}", markup=False)
    if not violations:
        console.print(f"{len(schedule.steps)} steps: every rule held.")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
