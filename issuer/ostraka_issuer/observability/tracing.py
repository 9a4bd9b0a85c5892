"""Traces with OpenTelemetry (extra ``otel``): a request, the commit it made, the records that were published.

    POST /admin/revocations                     a server span; goes on from the caller's ``traceparent``
    └── ostraka.feed commit                     signing, and the commit that gave the record its place
        └── ostraka.feed publish                from the Kafka client to the acknowledgement
            ostraka.feed apply                  in each verifier; linked, not below: nobody signed the header

All but the first carry ``ostraka.txn``, which is signed: where the header is lost (after a restart, from another
process, over HTTP) that finds them. The header beside a record names the commit, so a record that is sent again has
the same one. Nothing is recorded of what stands in an address, a body or a header.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, SpanKind, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import Scope

from ..feed.log import StoredRecord
from ..happenings import Sending
from ..limits import TRACED_COMMITS
from .events import kind_of
from .request_ids import current_request_id
from .requests import Request

_TRACEPARENT: Final = "traceparent"
_PROPAGATOR: Final = TraceContextTextMapPropagator()


class Tracing:
    """Makes the spans of one issuer.

    Args:
        provider: where they go.
        now_ns: the time, in nanoseconds since the epoch.
    """

    def __init__(self, provider: TracerProvider, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._tracer: Final = trace.get_tracer("ostraka_issuer", tracer_provider=provider)
        self._now_ns = now_ns
        self._commits: OrderedDict[str, SpanContext] = OrderedDict()

    @contextmanager
    def around(self, scope: Scope, request: Request) -> Iterator[None]:
        """The span of a request (``RequestWatch``)."""
        headers = Headers(scope=scope)
        given = {name: headers[name] for name in (_TRACEPARENT, "tracestate") if name in headers}
        parent = _PROPAGATOR.extract(given, context=Context())
        span = self._tracer.start_span(request.method, context=parent, kind=SpanKind.SERVER)
        trace_id = f"{span.get_span_context().trace_id:032x}"
        with (
            trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False),
            structlog.contextvars.bound_contextvars(trace_id=trace_id),
        ):
            try:
                yield
            finally:
                _describe(span, request)

    def placed(self, records: Sequence[StoredRecord]) -> None:
        """The spans of records that were just committed, in the context of whoever committed them."""
        for record in records:
            span = self._tracer.start_span(
                "ostraka.feed commit",
                start_time=int(record.created_at * 1e9),
                attributes={**_names(record), "ostraka.event": kind_of(record)},
            )
            self._remember(record.txn, span.get_span_context())
            span.end(max(self._now_ns(), int(record.created_at * 1e9)))

    def _remember(self, txn: str, commit: SpanContext) -> None:
        self._commits[txn] = commit
        if len(self._commits) > TRACED_COMMITS:
            self._commits.popitem(last=False)

    def sending(self, record: StoredRecord) -> Sending:
        """The span of a record on its way to Kafka, and the header that goes with it."""
        commit = self._commits.get(record.txn)
        parent = Context() if commit is None else trace.set_span_in_context(trace.NonRecordingSpan(commit), Context())
        span = self._tracer.start_span(
            "ostraka.feed publish", context=parent, kind=SpanKind.PRODUCER, attributes=_names(record)
        )

        def ended(error: BaseException | None) -> None:
            if error is not None:
                span.set_status(StatusCode.ERROR, type(error).__name__)
            span.end()

        return Sending([] if commit is None else [(_TRACEPARENT, _traceparent(commit))], ended)


def _describe(span: Span, request: Request) -> None:
    name = current_request_id()
    span.update_name(f"{request.method} {request.route}")
    attributes: dict[str, Any] = {
        "http.request.method": request.method,
        "http.route": request.route,
        "http.response.status_code": request.status,
    }
    span.set_attributes(attributes if name is None else {**attributes, "ostraka.request_id": name})
    if request.status >= 500 or not request.answered:
        span.set_status(StatusCode.ERROR)


def _names(record: StoredRecord) -> dict[str, str | int]:
    return {
        "ostraka.txn": record.txn,
        "ostraka.feed.epoch": record.position.epoch,
        "ostraka.feed.seq": record.position.seq,
    }


def _traceparent(context: SpanContext) -> bytes:
    # W3C Trace Context §3.2, version 00.
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}".encode()
