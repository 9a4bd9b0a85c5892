"""Distributions and how they are printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

QUANTILES = (0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True)
class Distribution:
    """Sorted samples of one kind, in one unit."""

    samples: tuple[float, ...]

    @classmethod
    def of(cls, samples: Sequence[float]) -> "Distribution":
        """Sort ``samples``; there must be at least one."""
        if not samples:
            raise ValueError("a distribution needs samples")
        return cls(tuple(sorted(samples)))

    def quantile(self, q: float) -> float:
        """The sample below which a share ``q`` of all lies (nearest rank)."""
        return self.samples[min(len(self.samples) - 1, int(q * len(self.samples)))]

    def to_dict(self) -> dict[str, float]:
        """Count, minimum, quantiles and maximum."""
        quantiles = {f"p{q * 100:g}": round(self.quantile(q), 4) for q in QUANTILES}
        return {
            "n": len(self.samples),
            "min": round(self.samples[0], 4),
            **quantiles,
            "max": round(self.samples[-1], 4),
        }


def print_table(console: Console, title: str, unit: str, rows: Mapping[str, Distribution], *, floor: str) -> None:
    """Print the distributions, and under each but the floor its ratio to the floor."""
    table = Table(title=f"{title} ({unit})", title_justify="left")
    table.add_column("")
    columns = list(next(iter(rows.values())).to_dict())
    for column in columns:
        table.add_column(column, justify="right")
    base = rows[floor].to_dict()
    for name, distribution in rows.items():
        figures = distribution.to_dict()
        table.add_row(name, *(f"{figures[c]:.0f}" if c == "n" else f"{figures[c]:.2f}" for c in columns))
        if name != floor:
            ratios = ("" if c == "n" else f"{figures[c] / base[c]:.2f}" for c in columns)
            table.add_row(f"  ÷ {floor}", *ratios, style="bold")
    console.print(table)
