"""The command's frame. Which words there are is in ``words``; what each does, in the module of its name."""

import logging
from importlib.metadata import version
from typing import Annotated

import typer

from .exits import EPILOG
from .output import standard_output
from .words import OPTIONS, Words

app = typer.Typer(
    name="ostraka",
    cls=Words,
    help="""Sign short-lived tokens, and cut them off everywhere within milliseconds.

Examples:

    ostraka dev

    ostraka login operator

    ostraka revoke subject alice --reason "left the company"
""",
    epilog=EPILOG,
    no_args_is_help=True,
    **OPTIONS | {"add_completion": True},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        standard_output().print(f"ostraka {version('ostraka-issuer')}")
        raise typer.Exit


@app.callback()
def frame(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell on standard error what happens.")] = False,
    show_version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Set what holds for every command."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.CRITICAL, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
