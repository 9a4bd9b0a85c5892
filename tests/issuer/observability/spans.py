"""A tracer whose spans a test can read."""

from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Spans:
    """Keeps every span that has ended."""

    def __init__(self, **options: Any) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, **options)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def named(self, name: str, **attributes: Any) -> list[ReadableSpan]:
        """Those of a name, and of these attributes; dots are written as ``__``."""
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        return [
            span
            for span in self._exporter.get_finished_spans()
            if span.name == name and wanted.items() <= dict(span.attributes or {}).items()
        ]

    def all(self) -> tuple[ReadableSpan, ...]:
        """Every one."""
        return self._exporter.get_finished_spans()


def id_of(span: ReadableSpan) -> tuple[int, int]:
    """Its trace and itself."""
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def parent_of(span: ReadableSpan) -> tuple[int, int] | None:
    """The trace and the span that it is below."""
    return None if span.parent is None else (span.parent.trace_id, span.parent.span_id)
