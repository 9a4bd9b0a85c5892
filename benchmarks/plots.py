"""Draws what was measured: a bar for each contestant, by its ratio to the floor, with its spread."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.rounds import Paired

FORMATS: Final = ("svg", "png")
OURS: Final = "Ostraka"
_OURS, _OTHERS, _FLOOR = "#b4532a", "#9aa5ad", "#3d4a52"

Measured = Mapping[str, Mapping[str, Mapping[str, Paired]]]
"""By title, algorithm and contestant."""


def draw(directory: Path, name: str, found: Measured, floor: str) -> list[Path]:
    """Write one picture for each title, in each format; returns the files.

    Args:
        directory: made if it is not there.
        floor: drawn in a colour of its own; its ratio is 1.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for number, (title, by_alg) in enumerate(found.items(), start=1):
        figure = _figure(title, by_alg, floor)
        for kind in FORMATS:
            path = directory / f"{name}-{number}.{kind}"
            figure.savefig(path, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
            written.append(path)
    return written


def _figure(title: str, by_alg: Mapping[str, Mapping[str, Paired]], floor: str) -> Figure:
    figure = Figure(figsize=(4.2 * len(by_alg) + 1.5, 4.2), layout="constrained")
    figure.suptitle(f"{title}: time, as a multiple of {floor}")
    axes = figure.subplots(1, len(by_alg), sharey=True, squeeze=False)[0]
    for axis, (alg, ones) in zip(axes, by_alg.items(), strict=True):
        _bars(axis, alg, ones, floor)
    axes[0].invert_yaxis()  # the first one on top; they share it
    return figure


def _bars(axis: Axes, alg: str, ones: Mapping[str, Paired], floor: str) -> None:
    names = list(ones)
    ratios = [one.ratio for one in ones.values()]
    low, high = zip(*(one.ratio_spread for one in ones.values()), strict=True)
    reach = [
        [max(0.0, ratio - end) for ratio, end in zip(ratios, low, strict=True)],
        [max(0.0, end - ratio) for ratio, end in zip(ratios, high, strict=True)],
    ]
    colours = [_FLOOR if name == floor else _OURS if name.startswith(OURS) else _OTHERS for name in names]
    bars = axis.barh(names, ratios, xerr=reach, color=colours, error_kw={"elinewidth": 1, "capsize": 2})
    axis.bar_label(bars, labels=[f"{ratio:.2f}" for ratio in ratios], padding=6, fontsize=8)
    axis.set_xscale("log")
    axis.set_xlim(left=min(low) / 2, right=max(high) * 3)
    axis.axvline(1.0, color=_FLOOR, linewidth=0.8, linestyle=":")
    axis.set_title(f"{alg} ({ones[floor].median:.0f} µs = 1)", fontsize=10)
