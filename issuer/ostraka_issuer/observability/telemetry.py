"""Who is told what happens: the metrics always, the traces where they are wanted."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Final, Protocol

from starlette.types import Scope

from ..errors import SetupError
from ..feed.log import StoredRecord
from ..happenings import Happenings, Sending
from .metrics import Metrics
from .requests import Request

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""OpenTelemetry's own names; its exporter reads them, and everything else that it can be told in this way."""

SERVICE: Final = "ostraka-issuer"


class Traces(Protocol):
    """What ``tracing.Tracing`` does. Only whoever wants traces imports it, for it needs OpenTelemetry."""

    def around(self, scope: Scope, request: Request) -> AbstractContextManager[None]:
        """Around a request."""
        ...

    def placed(self, records: Sequence[StoredRecord]) -> None:
        """Records were committed into the feed."""
        ...

    def sending(self, record: StoredRecord) -> Sending:
        """A record is handed to the Kafka client."""
        ...


def told_to(metrics: Metrics, traces: Traces | None) -> Happenings:
    """What happens, told to both."""
    if traces is None:
        return Happenings(login=metrics.login, token=metrics.token, placed=metrics.placed, sending=metrics.sending)

    def placed(records: Sequence[StoredRecord]) -> None:
        metrics.placed(records)
        traces.placed(records)

    def sending(record: StoredRecord) -> Sending:
        counted, traced = metrics.sending(record), traces.sending(record)

        def ended(error: BaseException | None) -> None:
            counted.ended(error)
            traced.ended(error)

        return Sending(traced.headers, ended)

    return Happenings(login=metrics.login, token=metrics.token, placed=placed, sending=sending)


@asynccontextmanager
async def exported_traces(environment: Mapping[str, str] = os.environ) -> AsyncIterator[Traces | None]:
    """Traces that are sent to where the environment says (OTLP over HTTP); ``None`` if it says nothing.

    Raises:
        SetupError: it does, and OpenTelemetry is not installed.
    """
    name = next((name for name in _ENDPOINTS if environment.get(name)), None)
    if name is None:
        yield None
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        from .tracing import Tracing  # noqa: PLC0415
    except ImportError as error:
        raise SetupError(f'{name} is set, but OpenTelemetry is missing: pip install "ostraka-issuer[otel]"') from error
    # What the environment says of the service comes first.
    provider = TracerProvider(
        resource=Resource({"service.name": SERVICE}).merge(Resource.create()) if _unnamed(environment) else None,
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield Tracing(provider)
    finally:
        # Sends what is left, and waits for it.
        await asyncio.to_thread(provider.shutdown)


def _unnamed(environment: Mapping[str, str]) -> bool:
    return not environment.get("OTEL_SERVICE_NAME") and "service.name" not in environment.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
