"""Run the measurements: ``./run bench [verify] [live] [coldstart] [cutoff] [refresh] [--json] [--revocations N] …``."""

import argparse
import sys
from typing import Final

from rich.console import Console

from benchmarks import coldstart, cutoff, live, refresh, verify

NAMES: Final = ("verify", "live", "coldstart", "cutoff", "refresh")


def main(arguments: list[str]) -> int:
    """Run as a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="./run bench", description="Measure, each thing beside its floor.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(NAMES)}; all by default")
    parser.add_argument("--json", action="store_true", help="figures only, for machines")
    parser.add_argument("--revocations", type=int, default=600, help="for cutoff (default 600)")
    parser.add_argument("--verifiers", type=int, default=10, help="verifier processes for cutoff (default 10)")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in NAMES]:
        parser.error(f"there is no measurement {unknown[0]!r}; there are {', '.join(NAMES)}")
    console = Console()
    names = options.names or NAMES
    if "verify" in names:
        verify.run(console, as_json=options.json)
    if "live" in names:
        live.run(console, as_json=options.json)
    if "coldstart" in names:
        coldstart.run(console, as_json=options.json)
    if "cutoff" in names:
        cutoff.run(console, revocations=options.revocations, verifiers=options.verifiers, as_json=options.json)
    if "refresh" in names:
        refresh.run(console, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
