"""Fuzz the verifier: ``./run fuzz [--tokens N] [--records N] [--seed S] [--processes N] [--replay CASE]``."""

import argparse
import secrets
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.fuzzing import running
from tests.fuzzing.verdicts import SLOWEST, Verdicts

MILLION = 1_000_000


def fuzz(console: Console, amounts: dict[str, int], seed: int, *, processes: int | None = None) -> dict[str, Verdicts]:
    """Run so many cases of each target, and show how far it has come."""
    sums = {target: Verdicts() for target in amounts}
    columns = (TextColumn("{task.description:8}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[found]} findings"), console=console) as progress:
        bars = {target: progress.add_task(target, total=cases, found=0) for target, cases in amounts.items()}
        for target, cases in amounts.items():
            for job, verdicts in running.run(running.jobs(target, seed, cases), processes=processes):
                sums[target].add(verdicts)
                progress.update(bars[target], advance=job.cases, found=sums[target].broken)
    return sums


def report(console: Console, sums: dict[str, Verdicts]) -> None:
    """Say what was presented, how it ended, and what was found."""
    table = Table("target", "cases", "ways of making them", "slowest call", "findings", box=None)
    for target, verdicts in sums.items():
        slowest = f"{1000 * verdicts.worst:.2f} ms ({verdicts.worst_case})"
        table.add_row(target, f"{verdicts.cases:,}", f"{len(verdicts.ways):,}", slowest, f"{verdicts.broken:,}")
    console.print(table)
    for target, verdicts in sums.items():
        ends = ", ".join(f"{name} {number:,}" for name, number in verdicts.ends.most_common())
        console.print(f"[bold]{target}[/] ended as: {ends or 'nothing'}", highlight=False)
    for verdicts in sums.values():
        for finding in verdicts.findings:
            console.print(str(finding), markup=False, highlight=False, style="red", soft_wrap=True)


def main(arguments: list[str], console: Console | None = None) -> int:
    """Run as a command; returns the exit code: 0 if every promise held, else 1."""
    parser = argparse.ArgumentParser(
        prog="./run fuzz",
        description="Present mutated tokens and records. No mutated token is accepted. Nothing that was changed"
        " after it was signed changes anything; what is odd and truly signed (it ends as applied, snapshot or root)"
        " takes nothing back. Nothing is raised that is not said, each case is counted, and none takes longer than"
        f" {1000 * SLOWEST:g} ms of CPU.",
    )
    parser.add_argument("--tokens", type=int, default=MILLION, help="how many tokens (default 1,000,000)")
    parser.add_argument("--records", type=int, default=MILLION, help="how many records (default 1,000,000)")
    parser.add_argument("--seed", type=int, help="to repeat a run; chosen and shown by default")
    parser.add_argument("--processes", type=int, help="how many at a time (default: one a core)")
    parser.add_argument("--replay", metavar="CASE", help="present one case again, as it stands in a finding")
    options = parser.parse_args(arguments)
    console = console or Console()
    if options.replay is not None:
        try:
            sums = {options.replay: running.replay(options.replay)}
        except ValueError as error:
            parser.error(str(error))
    else:
        seed = secrets.randbelow(MILLION) if options.seed is None else options.seed
        console.print(f"seed {seed}")
        amounts = {"tokens": options.tokens, "records": options.records}
        sums = fuzz(console, amounts, seed, processes=options.processes)
    report(console, sums)
    return 1 if any(verdicts.broken for verdicts in sums.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
