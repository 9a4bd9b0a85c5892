"""The web application with everyone who watches its requests around it, outside of its own error answers."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp

from .request_ids import RequestIds
from .requests import Around, Request, RequestWatch, nothing_around

_SILENT: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def _nobody(_request: Request) -> None:
    """Nobody counts."""


class ObservedApp(FastAPI):
    """A FastAPI application whose every answer has a request id and a line in the log."""

    def __init__(self, **options: Any) -> None:
        # FastAPI's own telemetry would tell a provider of the process whole addresses and what was refused in a body.
        super().__init__(telemetry=_SILENT, **options)
        self.request_ended: Callable[[Request], None] = _nobody
        self.around_request: Around = nothing_around

    def build_middleware_stack(self) -> ASGIApp:
        """The usual one, watched."""
        inner = super().build_middleware_stack()
        return RequestIds(RequestWatch(inner, ended=self.request_ended, around=self.around_request))
