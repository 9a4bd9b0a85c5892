"""The edge of every command: errors become one line for people and an exit code; no traceback ever."""

import functools
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer

from ostraka_consumers.errors import NotReady, Stale, VerificationError
from ostraka_issuer.api_errors import IssuerRefused, IssuerUnreachable
from ostraka_issuer.errors import BadRequest
from ostraka_schemas.errors import OstrakaError

from .exits import Exit
from .output import standard_error

P = ParamSpec("P")
R = TypeVar("R")

TRACEBACK_VARIABLE = "OSTRAKA_TRACEBACK"


class CommandError(OstrakaError):
    """A command cannot do what it was asked.

    Args:
        message: what is wrong, with which value, and what to do.
        exit_code: what to end with.
    """

    code = "command"

    def __init__(self, message: str, exit_code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command so that nothing but exit codes leaves it."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except OstrakaError as error:
            raise _end(str(error), exit_code_of(error)) from error
        except (KeyboardInterrupt, typer.Abort) as error:
            # The prompt makes an Abort of Ctrl-C.
            raise _end("interrupted", Exit.INTERRUPTED) from error
        except BrokenPipeError as error:
            # Whoever reads our output has seen enough. Python would complain again while it closes the pipe.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise typer.Exit(Exit.OK) from error
        except (typer.Exit, typer.BadParameter):
            raise
        except Exception as error:
            if os.environ.get(TRACEBACK_VARIABLE):
                raise
            what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            hint = f"this is a defect; {TRACEBACK_VARIABLE}=1 shows where"
            raise _end(f"unexpected {what} ({hint})", Exit.FAILED) from error

    return run


def exit_code_of(error: OstrakaError) -> Exit:
    """The exit code that says what kind of error it was."""

    if isinstance(error, CommandError):
        return error.exit_code
    if isinstance(error, BadRequest):
        return Exit.USAGE
    if isinstance(error, IssuerUnreachable):
        return Exit.UNREACHABLE
    if isinstance(error, (NotReady, Stale)):
        return Exit.NOT_READY
    if isinstance(error, VerificationError) or (isinstance(error, IssuerRefused) and error.is_denial):
        return Exit.REFUSED
    return Exit.FAILED


def _end(message: str, code: Exit) -> typer.Exit:
    standard_error().print(f"ostraka: {message}", style="red", markup=False)
    return typer.Exit(code)
