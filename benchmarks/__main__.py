"""Run the measurements: ``./run bench [verify] [peers] [messages] [feed] … [--json] [--plots DIRECTORY] …``."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import coldstart, cutoff, feed, live, messages, peers, refresh, verify

Measurement = Callable[[Console, argparse.Namespace], None]

MEASUREMENTS: Final[dict[str, Measurement]] = {
    "verify": lambda console, given: verify.run(console, as_json=given.json),
    "peers": lambda console, given: peers.run(console, as_json=given.json, directory=given.plots),
    "messages": lambda console, given: messages.run(console, as_json=given.json),
    "feed": lambda console, given: feed.run(console, as_json=given.json),
    "live": lambda console, given: live.run(console, as_json=given.json),
    "coldstart": lambda console, given: coldstart.run(console, as_json=given.json),
    "cutoff": lambda console, given: cutoff.run(
        console, revocations=given.revocations, verifiers=given.verifiers, as_json=given.json
    ),
    "refresh": lambda console, given: refresh.run(console, as_json=given.json),
}
"""By name, in the order in which they run."""


def main(arguments: list[str]) -> int:
    """Run as a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="./run bench", description="Measure, each thing beside its floor.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(MEASUREMENTS)}; all by default")
    parser.add_argument("--json", action="store_true", help="figures only, for machines")
    parser.add_argument("--plots", type=Path, metavar="DIRECTORY", help="where peers writes its plots, as SVG and PNG")
    parser.add_argument("--revocations", type=int, default=600, help="for cutoff (default 600)")
    parser.add_argument("--verifiers", type=int, default=10, help="verifier processes for cutoff (default 10)")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in MEASUREMENTS]:
        parser.error(f"there is no measurement {unknown[0]!r}; there are {', '.join(MEASUREMENTS)}")
    console = Console()
    for name, measure in MEASUREMENTS.items():
        if not options.names or name in options.names:
            measure(console, options)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
