"""The command's frame: which words there are. What each does is in the module of its name."""

import logging
from importlib.metadata import version
from typing import Annotated

import typer

from . import demo, dev, init, keys, login, revoke, serve, users, verify, watch
from .exits import EPILOG
from .output import standard_output

app = typer.Typer(
    name="ostraka",
    help="Sign short-lived tokens, and cut them off everywhere within milliseconds.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("demo")(demo.demo)
app.command("dev")(dev.dev)
app.command("init")(init.init)
app.command("serve")(serve.serve)
app.add_typer(users.app, name="users")
app.command("login")(login.login)
app.command("logout")(login.logout)
app.add_typer(revoke.app, name="revoke")
app.add_typer(keys.app, name="keys")
app.command("watch")(watch.watch)
app.command("verify")(verify.verify)


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
