"""Traces that go on in the verifier: a span for each record that is applied.

    tracing = FeedTracing()
    source = KafkaSource("kafka:9092", around=tracing.delivery)
    verifier = Verifier(anchor, audience="orders", sources=[source], applied=tracing.applied)

The issuer sends a ``traceparent`` (W3C Trace Context) beside its records on Kafka. Nobody signed it, so it is a link
and never a parent: whoever can write to the topic can make a span point somewhere, and nothing else; not even whether
it is sampled. What the span says itself, ``ostraka.txn`` first of all, is signed.

Records that are read again at a start are history, and have no span.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from ostraka_schemas.records import Record

try:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags, TracerProvider
except ImportError as error:
    raise ImportError('OpenTelemetry is missing: pip install "ostraka-consumers[otel]"') from error

__all__ = ["FeedTracing"]

Headers = Sequence[tuple[str, bytes]]

_RECENT: Final = 120
"""Seconds since a record was signed after which it is history; twice what verifiers bear without news."""
_HEADERS_MAX: Final = 16
"""So many headers are looked at."""
_NAME: Final = "traceparent"
_TRACEPARENT: Final = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class FeedTracing:
    """Makes the spans of one verifier.

    Args:
        tracer_provider: where they go; the process's by default.
        now_ns: the time, in nanoseconds since the epoch.
    """

    def __init__(
        self, tracer_provider: TracerProvider | None = None, *, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._tracer: Final = trace.get_tracer("ostraka_consumers", tracer_provider=tracer_provider)
        self._now_ns = now_ns
        self._began: int | None = None
        self._sent: SpanContext | None = None

    @contextmanager
    def delivery(self, headers: Headers) -> Iterator[None]:
        """Around the delivery of one record, with what came beside it: for ``KafkaSource(around=…)``."""
        self._began, self._sent = self._now_ns(), read_traceparent(headers)
        try:
            yield
        finally:
            self._began = self._sent = None

    def applied(self, records: Sequence[Record]) -> None:
        """Records have been applied: for ``Verifier(applied=…)``."""
        now = self._now_ns()
        began, sent = self._began, self._sent
        for record in records:
            if abs(now / 1e9 - record.iat) <= _RECENT:
                self._span(record, now if began is None else began, sent)
            sent = None  # The others were held until this one came, and what came beside them is gone.

    def _span(self, record: Record, began: int, sent: SpanContext | None) -> None:
        span = self._tracer.start_span(
            "ostraka.feed apply",
            context=Context(),
            kind=SpanKind.CONSUMER,
            links=[] if sent is None else [Link(sent)],
            start_time=began,
            attributes={
                "ostraka.txn": record.txn,
                "ostraka.feed.epoch": record.position.epoch,
                "ostraka.feed.seq": record.position.seq,
            },
        )
        span.end(self._now_ns())


def read_traceparent(headers: Headers) -> SpanContext | None:
    """The span that a record was sent in, if exactly one header says so (W3C Trace Context §3.2, version 00)."""
    values = [value for name, value in headers[:_HEADERS_MAX] if name == _NAME]
    match = _TRACEPARENT.fullmatch(values[0]) if len(values) == 1 and values[0] is not None else None
    if match is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags & TraceFlags.SAMPLED))
    return context if context.is_valid else None
