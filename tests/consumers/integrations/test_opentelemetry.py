"""Spans of applied records, and what a stranger can do with the header beside them: next to nothing."""

import builtins
import importlib
import sys
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind

from ostraka_consumers import Verifier
from ostraka_consumers.integrations.opentelemetry import FeedTracing, read_traceparent
from ostraka_consumers.trust.receipt import Outcome
from tests.support.fake_issuer import FakeIssuer
from tests.support.verifiers import ListSource

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01".encode()


class Traced:
    def __init__(self, **options: Any) -> None:
        self.issuer = FakeIssuer()
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False, **options)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = FeedTracing(provider, now_ns=lambda: int(self.issuer.clock.now().wall * 1e9))
        self.verifier = Verifier(
            self.issuer.anchor,
            audience="orders",
            sources=[ListSource([])],
            clock=self.issuer.clock,
            applied=self.tracing.applied,
        )
        for raw in self.issuer.open():
            self.verifier.deliver(raw)
        self.verifier.deliver(self.issuer.heartbeat())
        self.exporter.clear()

    def bring(self, raw: bytes, *headers: tuple[str, bytes]) -> Outcome:
        with self.tracing.delivery(headers):
            return self.verifier.deliver(raw).outcome

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()


def test_an_applied_record_has_a_span_that_links_to_where_it_was_sent() -> None:
    traced = Traced()
    traced.bring(traced.issuer.cut_subject("alice"), ("traceparent", GOOD))
    (span,) = traced.spans
    assert (span.name, span.kind, span.parent) == ("ostraka.feed apply", SpanKind.CONSUMER, None)
    assert span.attributes is not None
    assert set(span.attributes) == {"ostraka.txn", "ostraka.feed.epoch", "ostraka.feed.seq"}
    assert (span.attributes["ostraka.feed.epoch"], span.attributes["ostraka.feed.seq"]) == (1, 3)
    (link,) = span.links
    assert f"{link.context.trace_id:032x}-{link.context.span_id:016x}" == f"{TRACE}-{SPAN}"
    assert link.context.is_remote


def test_only_what_is_applied_has_one() -> None:
    traced = Traced()
    record, later = traced.issuer.cut_subject("alice"), traced.issuer.cut_subject("bob")
    assert traced.bring(b"garbage", ("traceparent", GOOD)) is Outcome.REFUSED
    assert traced.bring(later, ("traceparent", GOOD)) is Outcome.HELD
    assert not traced.spans
    assert traced.bring(record) is Outcome.APPLIED
    assert [len(span.links) for span in traced.spans] == [0, 0]
    assert traced.bring(record, ("traceparent", GOOD)) is Outcome.DUPLICATE
    assert len(traced.spans) == 2


def test_what_came_with_one_record_is_not_lent_to_the_next() -> None:
    traced = Traced()
    traced.bring(traced.issuer.cut_subject("alice"), ("traceparent", GOOD))
    traced.verifier.deliver(traced.issuer.cut_subject("bob"))
    assert [len(span.links) for span in traced.spans] == [1, 0]


def test_what_is_read_again_at_a_start_has_none() -> None:
    traced = Traced()
    record = traced.issuer.cut_subject("alice")
    traced.issuer.clock.advance(121)
    traced.bring(record, ("traceparent", GOOD))
    assert not traced.spans


def test_a_stranger_cannot_have_anything_sampled() -> None:
    traced = Traced(sampler=ParentBased(ALWAYS_OFF))
    traced.bring(traced.issuer.cut_subject("alice"), ("traceparent", GOOD))
    assert not traced.spans


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("traceparent", GOOD), ("traceparent", GOOD)],
        [("Traceparent", GOOD)],
        [("traceparent", GOOD + b"0")],
        [("traceparent", GOOD + b"\n")],
        [("traceparent", GOOD.upper())],
        [("traceparent", b"01" + GOOD[2:])],
        [("traceparent", f"00-{'0' * 32}-{SPAN}-01".encode())],
        [("traceparent", f"00-{TRACE}-{'0' * 16}-01".encode())],
        [("traceparent", b"x" * 1_000_000)],
        [("traceparent", None)],
        [*[(str(number), b"") for number in range(16)], ("traceparent", GOOD)],
    ],
)
def test_what_is_no_traceparent_is_none(headers: Any) -> None:
    assert read_traceparent(headers) is None
    traced = Traced()
    assert traced.bring(traced.issuer.cut_subject("alice"), *headers) is Outcome.APPLIED
    assert [len(span.links) for span in traced.spans] == [0]


def test_whoever_is_told_may_break_and_nothing_changes(caplog: pytest.LogCaptureFixture) -> None:
    issuer = FakeIssuer()

    def broken(_records: object) -> None:
        raise RuntimeError("the exporter is full")

    verifier = Verifier(issuer.anchor, audience="orders", sources=[ListSource([])], clock=issuer.clock, applied=broken)
    assert [verifier.deliver(raw).outcome for raw in issuer.open()] == [Outcome.APPLIED] * 2
    assert "the exporter is full" in caplog.text


def test_without_opentelemetry_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "ostraka_consumers.integrations.opentelemetry"
    real = builtins.__import__

    def blocked(wanted: str, *arguments: Any, **more: Any) -> Any:
        if wanted.partition(".")[0] == "opentelemetry":
            raise ImportError(wanted)
        return real(wanted, *arguments, **more)

    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", blocked)
    with pytest.raises(ImportError, match=r"ostraka-consumers\[otel\]"):
        importlib.import_module(name)
