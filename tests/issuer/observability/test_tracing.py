"""A revocation's trace: the request, its commit, its publishing; and the verifier's side of it."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from opentelemetry.trace import SpanKind, StatusCode

from ostraka_consumers import Verifier
from ostraka_consumers.integrations.opentelemetry import FeedTracing
from ostraka_consumers.sources import KafkaSource
from ostraka_consumers.sources._aiokafka import safe_stop
from ostraka_issuer.errors import SetupError
from ostraka_issuer.feed.log import StoredRecord
from ostraka_issuer.limits import TRACED_COMMITS
from ostraka_issuer.observability import telemetry
from ostraka_issuer.observability.requests import Request
from ostraka_issuer.observability.tracing import Tracing
from ostraka_schemas.records import Position
from tests.issuer.front import open_desk
from tests.issuer.observability.spans import Spans, id_of, parent_of
from tests.kafka.broker import Broker

PATIENCE = 30.0
TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
TRACEPARENT = f"00-{TRACE:032x}-{SPAN:016x}-01"


def record(txn: str, seq: int = 1) -> StoredRecord:
    return StoredRecord(Position(1, seq), b"h", b"raw", txn, time.time())


def on(kafka: Broker, topic: str) -> dict[str, Any]:
    return {"kafka": kafka.bootstrap, "kafka_embedded": not kafka.true_kafka, "feed_topic": topic}


async def eventually(spans: Spans, name: str, **attributes: Any) -> Any:
    async with asyncio.timeout(PATIENCE):
        while not (found := spans.named(name, **attributes)):
            await asyncio.sleep(0.005)
    return found


async def headers_of(broker: Broker, topic: str) -> list[tuple[tuple[str, bytes], ...]]:
    """Of everything in the topic up to now."""
    partition = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=20)
    try:
        await consumer.start()
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        consumer.seek(partition, 0)
        found = []
        async with asyncio.timeout(PATIENCE):
            while await consumer.position(partition) < end:
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += [tuple(record.headers) for record in records]
        return found
    finally:
        await safe_stop(consumer)


async def test_a_revocation_is_followed_from_the_request_to_the_verifiers_apply(
    kafka: Broker, topic_prefix: str, tmp_path: Path
) -> None:
    topic = f"{topic_prefix}.feed"
    spans, theirs = Spans(), Spans()
    tracing = FeedTracing(theirs.provider)
    traces = Tracing(spans.provider)
    async with open_desk(tmp_path, traces=traces, **on(kafka, topic)) as desk:
        source = KafkaSource(kafka.bootstrap, topic=topic, fetch_max_wait_ms=20, around=tracing.delivery)
        verifier = Verifier(
            desk.issuer.anchor, audience="orders", sources=[source], ready_timeout=PATIENCE, applied=tracing.applied
        )
        async with verifier:
            answer = await desk.client.post(
                "/admin/revocations",
                json={"kind": "subject", "username": "alice", "reason": "left"},
                headers={**await desk.bearer(), "traceparent": TRACEPARENT, "x-request-id": "r-1"},
            )
            done = answer.json()
            assert answer.status_code in (200, 202), answer.text
            assert await verifier.wait_for(Position(done["epoch"], done["seq"]), PATIENCE)
            txn = done["txn"]
            (request,) = await eventually(spans, "POST /admin/revocations")
            (commit,) = await eventually(spans, "ostraka.feed commit", ostraka__txn=txn)
            (publish,) = await eventually(spans, "ostraka.feed publish", ostraka__txn=txn)
            (apply,) = await eventually(theirs, "ostraka.feed apply", ostraka__txn=txn)
        sent = await headers_of(kafka, topic)

    assert parent_of(request) == (TRACE, SPAN)
    assert request.kind is SpanKind.SERVER
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/admin/revocations",
        "http.response.status_code": answer.status_code,
        "ostraka.request_id": "r-1",
    }
    assert parent_of(commit) == id_of(request)
    assert (commit.attributes or {})["ostraka.event"] == "session-revoked"
    assert parent_of(publish) == id_of(commit)
    assert publish.status.status_code is StatusCode.UNSET
    assert [(link.context.trace_id, link.context.span_id) for link in apply.links] == [id_of(commit)]
    for span in (commit, publish, apply):
        assert span.attributes is not None
        assert (span.attributes["ostraka.feed.epoch"], span.attributes["ostraka.feed.seq"]) == (
            done["epoch"],
            done["seq"],
        )
    trace_id, span_id = id_of(commit)
    assert (("traceparent", f"00-{trace_id:032x}-{span_id:016x}-01".encode()),) in sent
    seen = repr([(span.name, dict(span.attributes or {})) for span in (*spans.all(), *theirs.all())])
    assert not [word for word in ("alice", "operator", "left", "Bearer") if word in seen]


async def test_without_traces_the_topic_has_no_headers(kafka: Broker, topic_prefix: str, tmp_path: Path) -> None:
    topic = f"{topic_prefix}.feed"
    async with open_desk(tmp_path, **on(kafka, topic)) as desk:
        head = desk.issuer.feed.head()
        assert head is not None
        async with asyncio.timeout(PATIENCE):
            while not await desk.issuer.feed.is_published(head.position):
                await asyncio.sleep(0.02)
        assert set(await headers_of(kafka, topic)) == {()}


def test_a_record_that_is_sent_again_has_the_same_header() -> None:
    tracing = Tracing(Spans().provider)
    tracing.placed([record("t")])
    first, again = tracing.sending(record("t")), tracing.sending(record("t"))
    assert first.headers == again.headers
    assert [name for name, _ in first.headers] == ["traceparent"]


def test_what_another_life_committed_has_a_span_without_a_header() -> None:
    spans = Spans()
    sending = Tracing(spans.provider).sending(record("t"))
    assert not sending.headers
    sending.ended(None)
    (span,) = spans.named("ostraka.feed publish", ostraka__txn="t")
    assert span.parent is None


def test_what_is_remembered_of_commits_is_bounded() -> None:
    tracing = Tracing(Spans().provider)
    tracing.placed([record(str(number)) for number in range(TRACED_COMMITS + 1)])
    assert not tracing.sending(record("0")).headers
    assert tracing.sending(record("1")).headers


def test_a_record_that_is_not_taken_is_an_error_without_its_words() -> None:
    spans = Spans()
    Tracing(spans.provider).sending(record("t")).ended(OSError("secret words"))
    (span,) = spans.named("ostraka.feed publish")
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "OSError")
    assert not span.events


@pytest.mark.parametrize(
    ("status", "code"), [(200, StatusCode.UNSET), (404, StatusCode.UNSET), (503, StatusCode.ERROR)]
)
def test_a_request_is_an_error_where_the_issuer_is_to_blame(status: int, code: StatusCode) -> None:
    spans = Spans()
    request = Request("GET", status=status, answered=True)
    with Tracing(spans.provider).around({"type": "http", "headers": []}, request):
        request.route = "/readyz"
        assert "trace_id" in structlog.contextvars.get_contextvars()
    (span,) = spans.named("GET /readyz")
    assert span.status.status_code is code
    assert span.parent is None


async def test_nothing_is_exported_unless_the_environment_says_where() -> None:
    async with telemetry.exported_traces({"OTEL_SERVICE_NAME": "x"}) as traces:
        assert traces is None


async def test_spans_go_to_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[bytes] = []

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = [
            int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length")
        ]
        bodies.append(head + await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(collect, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        async with telemetry.exported_traces() as traces:
            assert traces is not None
            traces.placed([record("the-transaction")])
    (body,) = bodies
    assert body.startswith(b"POST /v1/traces ")
    # The message itself may be compressed.
    assert telemetry.SERVICE.encode() in body or b"gzip" in body


async def test_wanted_and_not_installed_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SetupError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT is set.*ostraka-issuer\[otel\]"):
        async with telemetry.exported_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}):
            pass
