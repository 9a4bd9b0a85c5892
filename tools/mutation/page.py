"""The page that lists what lived: docs/reference/mutation.md."""

from collections import Counter
from collections.abc import Sequence

from .reasons import Reason, match
from .results import Mutant

GOAL = 0.9


def rate(mutants: Sequence[Mutant]) -> float:
    """The share of mutants that a test noticed."""
    return sum(mutant.killed for mutant in mutants) / len(mutants) if mutants else 1.0


def page(mutants: Sequence[Mutant], reasons: Sequence[Reason]) -> str:
    """The whole page."""
    survivors = [mutant for mutant in mutants if not mutant.killed]
    lines = [
        "# Mutation test of the trust core",
        "",
        "Written by `./run mutate` from its result and `tools/mutation/reasons.toml`; edit there.",
        "",
        "A mutant is the trust core with one small change: `<` for `<=`, `and` for `or`, a value or a case left out.",
        "It is killed if a test fails. [How and why](../adr/0010-mutation-test.md).",
        "",
        f"**{rate(mutants):.1%}** of {len(mutants):,} mutants were killed; the goal is {GOAL:.0%}.",
        "",
        "| module | mutants | killed | living |",
        "|---|---:|---:|---:|",
        *_table(mutants),
        "",
        "## What lives, and why",
        "",
    ]
    by_reason: dict[Reason | None, list[Mutant]] = {}
    for mutant, reason in match(survivors, reasons).items():
        by_reason.setdefault(reason, []).append(mutant)
    for reason, living in by_reason.items():
        lines.append(f"`{living[0].where}`, {reason.kind}. {reason.why}" if reason else "No reason is known yet:")
        lines += ["", *(f"* {_change(mutant, named=reason is None)}" for mutant in living), ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(mutants: Sequence[Mutant]) -> list[str]:
    total = Counter(mutant.module for mutant in mutants)
    killed = Counter(mutant.module for mutant in mutants if mutant.killed)
    return [f"| `{name}` | {n} | {killed[name]} | {n - killed[name]} |" for name, n in sorted(total.items())]


def _change(mutant: Mutant, *, named: bool) -> str:
    where = f"`{mutant.where}`: " if named else ""
    return where + (f"`{mutant.was}` → `{mutant.now}`" if mutant.now else f"without `{mutant.was}`")
