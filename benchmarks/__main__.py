"""Run the measurements: ``./run bench [cutoff] [verify] [coldstart] [--json] [--revocations N] [--verifiers N]``."""

import argparse
import sys

from rich.console import Console

from benchmarks import coldstart, cutoff, verify


def main(arguments: list[str]) -> int:
    """Run as a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure, each thing beside its floor.")
    parser.add_argument("names", nargs="*", choices=["cutoff", "verify", "coldstart", []], help="which; all by default")
    parser.add_argument("--json", action="store_true", help="figures only, for machines")
    parser.add_argument("--revocations", type=int, default=600, help="for cutoff (default 600)")
    parser.add_argument("--verifiers", type=int, default=10, help="verifier processes for cutoff (default 10)")
    options = parser.parse_args(arguments)
    console = Console()
    names = options.names or ["verify", "coldstart", "cutoff"]
    if "verify" in names:
        verify.run(console, as_json=options.json)
    if "coldstart" in names:
        coldstart.run(console, as_json=options.json)
    if "cutoff" in names:
        cutoff.run(console, revocations=options.revocations, verifiers=options.verifiers, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
