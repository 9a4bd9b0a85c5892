import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from ostraka_issuer.limits import LOG_TEXT_MAX_CHARS
from ostraka_issuer.observability.logs import configure_logging, make_formatter


@pytest.fixture
def logging_kept() -> Iterator[None]:
    """What ``configure_logging`` changes for the whole process is put back."""
    root = logging.getLogger()
    names = ("aiokafka", "httpx", "httpcore", "alembic")
    levels = {name: logging.getLogger(name).level for name in names}
    handlers, level = root.handlers[:], root.level
    for handler in handlers:
        root.removeHandler(handler)  # else it would be closed
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)
    for name, least in levels.items():
        logging.getLogger(name).setLevel(least)


def record(message: str, *arguments: object, **more: Any) -> logging.LogRecord:
    return logging.getLogger("somebody").makeRecord(
        "somebody", logging.WARNING, "file.py", 1, message, arguments, more.pop("exc_info", None), **more
    )


def as_json(one: logging.LogRecord) -> dict[str, Any]:
    line = make_formatter("json").format(one)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def caught() -> Any:
    password = "s3cret" + "-of-alice"
    try:
        raise ValueError(f"not good, and {len(password)} long")
    except ValueError:
        return sys.exc_info()


def test_json_says_who_when_how_grave_and_what_else() -> None:
    line = as_json(record("%s of %d", "one", 2, extra={"route": "/login", "seconds": 0.5}))
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "one of 2",
        "level": "warning",
        "logger": "somebody",
        "route": "/login",
        "seconds": 0.5,
    }


def test_what_is_bound_stands_in_every_line() -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        assert as_json(record("inside"))["request_id"] == "r-1"
        assert "request_id=r-1" in make_formatter("console").format(record("inside"))
    assert "request_id" not in as_json(record("outside"))


@pytest.mark.parametrize("kind", ["json", "console"])
def test_a_traceback_is_shown_without_the_values_of_variables(kind: Any) -> None:
    text = make_formatter(kind, terminal=True).format(record("failed", exc_info=caught()))
    assert "ValueError" in text
    assert "not good, and 15 long" in text
    assert "s3cret-of-alice" not in text


@pytest.mark.parametrize("kind", ["json", "console"])
def test_nobody_writes_a_line_of_his_own_or_steers_the_terminal(kind: Any) -> None:
    evil = "alice\n2026-01-01 [info] all is well \x1b[2J\x9b1m \u202e \u2028"
    text = make_formatter(kind).format(record("login of %s", evil, extra={"name_given": evil}))
    assert len(text.splitlines()) == 1
    if kind == "console":
        assert not {"\x1b", "\x9b", "\u202e"} & set(text)
    else:
        assert "\x1b" not in text


def test_what_uvicorn_says_for_terminals_is_left_out() -> None:
    line = as_json(record("Started server process [%d]", 7, extra={"color_message": "Started [\x1b[36m%d\x1b[0m]"}))
    assert line["event"] == "Started server process [7]"
    assert "color_message" not in line


def test_a_text_is_bounded() -> None:
    line = as_json(record("x" * (LOG_TEXT_MAX_CHARS + 1)))
    assert len(line["event"]) < LOG_TEXT_MAX_CHARS + 40
    assert line["event"].endswith(f"({LOG_TEXT_MAX_CHARS + 1} characters)")


def test_auto_is_for_people_on_a_terminal_only() -> None:
    assert make_formatter("auto", terminal=False).format(record("x")).startswith("{")
    assert not make_formatter("auto", terminal=True).format(record("x")).startswith("{")


@pytest.mark.usefixtures("logging_kept")
def test_everybody_writes_through_one_handler_and_the_kafka_client_is_quiet() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream=stream)
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("ostraka.issuer").debug("details")
    logging.getLogger("aiokafka.client").error("Unable connect to node with id 0")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["logger"], line["event"]) for line in lines] == [("uvicorn.error", "started")]


@pytest.mark.usefixtures("logging_kept")
def test_whoever_asks_for_everything_hears_the_kafka_client_too() -> None:
    stream = io.StringIO()
    configure_logging("debug", "json", stream=stream)
    logging.getLogger("aiokafka.client").error("Unable connect to node with id 0")
    assert "Unable connect" in stream.getvalue()
