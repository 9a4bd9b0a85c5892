"""``--config FILE``, which every command has that reads settings. It is added where commands are loaded, so that none
can forget it.

The file's values also become the defaults of options that name a setting by their variable (``--home``, ``--kafka``):
arguments win over the environment, the environment over the file, the file over the defaults.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from ostraka_issuer.configuration.layers import FILE_VARIABLE, PREFIX, file, using

from .guard import guarded

_HOME: Final = "home"


def add_config_option(command: Any) -> Any:
    """Give the option to ``command``, or to every command below it, that has a home."""
    if isinstance(command, TyperGroup):
        for below in command.commands.values():
            add_config_option(below)
    elif any(param.name == _HOME for param in command.params):
        command.params.append(_config_option())
        command.callback = _with_file(command.callback)
    return command


def given_home(ctx: typer.Context, home: Path) -> Path | None:
    """``home`` if it was given as an option, else ``None``: then the settings know better where it comes from."""
    source = ctx.get_parameter_source(_HOME)
    return home if source is not None and source.name == "COMMANDLINE" else None


def _config_option() -> Any:
    """The option, as the library makes it from an annotation."""
    single = typer.Typer(add_completion=False)
    single.command()(_bearer)
    return next(param for param in get_command(single).params if param.name == "config")


def _with_file(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def run(*args: Any, config: Path | None, **values: Any) -> Any:
        with using(config):
            return callback(*args, **values)

    return run


def _use(ctx: typer.Context, value: Path | None) -> Path | None:
    if value is not None and not ctx.resilient_parsing:
        _take_defaults(ctx, value.expanduser())
    return value


def _bearer(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            envvar=FILE_VARIABLE,
            is_eager=True,
            callback=_use,
            help="Settings file (TOML). The environment and options win over it.",
        ),
    ] = None,
) -> None:
    """Only its option is wanted."""


@guarded
def _take_defaults(ctx: typer.Context, path: Path) -> None:
    values = file(path).values
    names = {str(param.name): _setting_of(param) for param in ctx.command.params if param.default is not None}
    ctx.default_map = {param: str(values[name]) for param, name in names.items() if name in values}


def _setting_of(param: Any) -> str:
    variable = param.envvar if isinstance(param.envvar, str) else ""
    return variable.removeprefix(PREFIX).lower()
