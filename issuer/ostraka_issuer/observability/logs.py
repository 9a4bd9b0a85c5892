"""Every line of the log in one shape, whoever wrote it: ours, uvicorn's, the libraries'.

All of them write with the standard library's ``logging``; one handler at its root makes the lines. ``json`` is one
object a line, for machines; ``console`` is for people. What is bound to the context (``structlog.contextvars``), such
as the id of a request, stands in every line that is written meanwhile.

Tracebacks never show the values of variables: one of them may be a password.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.types import Processor

from ..limits import LOG_TEXT_MAX_CHARS
from ..settings import LogFormat, LogLevel

_Event = MutableMapping[str, Any]
# Escaped, for whoever can choose a name must not be able to write a line of the log, or to steer the terminal.
_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))} | {
    code: f"\\u{code:04x}" for code in (0x2028, 0x2029, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E)
}
_QUIET: Final = {
    # It says at every attempt that the broker is away; the feed says it once, and why.
    "aiokafka": logging.CRITICAL,
    # One line for each of our own requests, with the whole address.
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    # At every start, of migrations that have nothing to do.
    "alembic": logging.WARNING,
}


def configure_logging(level: LogLevel = "info", kind: LogFormat = "auto", *, stream: TextIO | None = None) -> None:
    """Send everything that is logged in this process to ``stream``, and to nowhere else.

    Args:
        level: the least that is shown.
        kind: ``auto`` is ``console`` on a terminal and ``json`` elsewhere.
        stream: standard error by default.
    """
    stream = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(stream)
    handler.setFormatter(make_formatter(kind, terminal=stream.isatty()))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name, least in _QUIET.items():
        # Whoever asks for everything gets everything.
        logging.getLogger(name).setLevel(logging.NOTSET if level == "debug" else least)


def make_formatter(kind: LogFormat = "auto", *, terminal: bool = False) -> logging.Formatter:
    """A formatter for the standard library's handlers.

    Args:
        terminal: whether somebody reads along; decides ``auto``, and whether there are colours.
    """
    as_json = kind == "json" or (kind == "auto" and not terminal)
    renderer: Processor
    if as_json:
        renderer = structlog.processors.JSONRenderer(default=str)
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=terminal, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
        )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _uncoloured,
            _bounded,
            *([structlog.processors.format_exc_info] if as_json else [_one_line]),
            renderer,
        ],
    )


def _uncoloured(_logger: object, _method: str, event: _Event) -> _Event:
    """uvicorn says everything twice, the second time for a terminal."""
    event.pop("color_message", None)
    return event


def _bounded(_logger: object, _method: str, event: _Event) -> _Event:
    for name, value in event.items():
        if isinstance(value, str) and len(value) > LOG_TEXT_MAX_CHARS:
            event[name] = f"{value[:LOG_TEXT_MAX_CHARS]}… ({len(value)} characters)"
    return event


def _one_line(_logger: object, _method: str, event: _Event) -> _Event:
    """JSON escapes control characters by itself."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = value.translate(_CONTROL)
    return event
