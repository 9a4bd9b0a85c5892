"""The HTTP source against a small real server, with a sink that knows what is true."""

import asyncio
import contextlib
import subprocess
import sys
from dataclasses import replace

import pytest

from ostraka_consumers.errors import ConfigurationError
from ostraka_consumers.sources import HttpSource
from ostraka_consumers.sources.http import HttpTiming
from ostraka_consumers.trust.receipt import Receipt
from tests.consumers.sources.feed_server import (
    LINES,
    STREAM,
    FeedServer,
    Request,
    answers,
    head_of,
    sse,
    whole,
)
from tests.consumers.sources.knowing import BRISK, KnowingSink, running
from tests.consumers.sources.recording import eventually


def source_of(server: FeedServer, timing: HttpTiming = BRISK) -> HttpSource:
    return HttpSource(server.url, timing=timing)


def cut_some(server: FeedServer, count: int) -> None:
    for number in range(count):
        server.issuer.cut_subject(f"user-{number}")


# --- following --------------------------------------------------------------------------------------------------------


async def test_streams_the_backlog_in_order_and_then_what_comes(server: FeedServer, sink: KnowingSink) -> None:
    cut_some(server, 300)
    await server.beat()
    async with running(source_of(server), sink):
        await sink.has(302)
        cut_some(server, 3)
        await server.tell()
        await sink.has(305)
        before = sink.heartbeats
        await server.beat()
        await eventually(lambda: sink.heartbeats > before)
    assert [raw for raw in sink.delivered if raw in server.issuer.records] == server.issuer.records
    assert [request.query for request in server.asked("/feed/events")] == [{}]
    assert sink.states == ["connecting", "reading"]


async def test_asks_for_what_comes_after_what_is_applied(server: FeedServer, sink: KnowingSink) -> None:
    sink.applied = 1
    async with running(source_of(server), sink):
        await sink.has(2)
    (request,) = server.asked("/feed/events")
    assert request.query == {"after": "1:1"}
    assert request.headers["accept"] == STREAM
    assert request.headers["accept-encoding"] == "identity"
    assert server.issuer.records[0] not in sink.delivered


class OvertakenSink(KnowingSink):
    """Another source brings what a heartbeat speaks of in the moment in which the heartbeat comes."""

    def deliver(self, raw: bytes) -> Receipt:
        receipt = super().deliver(raw)
        if receipt.heard is not None:
            self.applied = self.known
        return receipt


async def test_asks_for_what_its_first_heartbeat_speaks_of_also_if_another_source_is_faster(server: FeedServer) -> None:
    sink = OvertakenSink(server, applied=2)
    cut_some(server, 1)
    await server.beat()
    async with running(source_of(server), sink):
        await eventually(lambda: server.issuer.records[2] in sink.delivered, lambda: str(sink.states))
    assert server.asked("/feed/events")[0].query == {"after": "1:2"}


async def test_polls_where_nobody_streams(server: FeedServer, sink: KnowingSink) -> None:
    server.streams = False
    async with running(source_of(server), sink):
        await sink.has(2)
        cut_some(server, 2)
        await server.beat()
        await sink.has(4)
        await eventually(lambda: {"after": "1:4", "wait": "1"} in [r.query for r in server.asked("/feed/events")])
    assert "reading, by polling" in sink.states


async def test_polls_where_a_stream_is_refused(server: FeedServer, sink: KnowingSink) -> None:
    async def either(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.headers["accept"] == STREAM:
            writer.write(whole(406, "application/problem+json", b"{}"))
        else:
            await server._events(request, writer)

    server.routes["/feed/events"] = either
    async with running(source_of(server), sink):
        await sink.has(2)


async def test_polls_where_streams_are_held_back(server: FeedServer, sink: KnowingSink) -> None:
    async def held(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.headers["accept"] == STREAM:
            writer.write(head_of(200, ("content-type", STREAM), ("transfer-encoding", "chunked")))
            await asyncio.Event().wait()
        await server._events(request, writer)

    server.routes["/feed/events"] = held
    async with running(source_of(server, replace(BRISK, silence_max=0.2)), sink):
        await sink.has(2)
    assert "reading, by polling" in sink.states


async def test_polling_asks_for_what_another_source_brought_too(server: FeedServer, sink: KnowingSink) -> None:
    server.streams = False
    async with running(source_of(server), sink):
        await sink.has(2)
        cut_some(server, 1)
        sink.deliver(server.issuer.records[2])
        await server.beat()
        await eventually(lambda: sink.delivered.count(server.issuer.records[2]) == 2)


async def test_an_answer_that_brings_nothing_is_not_asked_for_in_a_hurry(server: FeedServer, sink: KnowingSink) -> None:
    server.streams = False
    server.routes["/feed/events"] = answers(whole(200, LINES, b""))
    # Whoever did not wait between two questions would ask thousands of times meanwhile.
    async with running(source_of(server, replace(BRISK, poll_every=600.0, incomplete_max=600.0)), sink):
        await sink.says("reading, by polling")
        await eventually(lambda: len(server.asked("/feed/events")) == 2)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await eventually(lambda: len(server.asked("/feed/events")) > 2)
    assert len(server.asked("/feed/events")) == 2


class SlowSink(KnowingSink):
    """Each delivery takes 2 ms of the source's clock. Counts how many came in a row."""

    now = 0.0
    streak = 0
    longest = 0

    def deliver(self, raw: bytes) -> Receipt:
        self.now += 0.002
        self.streak += 1
        self.longest = max(self.longest, self.streak)
        return super().deliver(raw)


async def test_a_backlog_does_not_starve_other_tasks(server: FeedServer) -> None:
    cut_some(server, 400)
    sink = SlowSink(server)
    source = HttpSource(server.url, timing=BRISK, clock=lambda: sink.now)

    async def another_task() -> None:
        while True:
            sink.streak = 0
            await asyncio.sleep(0)

    async with running(source, sink):
        other = asyncio.create_task(another_task())
        await sink.has(402)
        other.cancel()
        await asyncio.wait({other})
    # After the third record its slice of 5 ms is over.
    assert sink.longest == 3


# --- root documents and snapshots -------------------------------------------------------------------------------------


async def test_a_newcomer_gets_roots_then_the_snapshot_then_what_follows(server: FeedServer, sink: KnowingSink) -> None:
    server.publish_root()
    server.roots.append(server.roots[0] + b" ")
    cut_some(server, 8)
    server.snapshot = [b"part one", b"part two"]
    await server.beat()
    sink.wants_snapshot, sink.covered = True, 7
    async with running(source_of(server), sink):
        await sink.has(10)
    head = server.heartbeat
    assert head is not None
    assert sink.delivered[:5] == [*server.roots, *server.snapshot, head]
    assert [request.path for request in server.requests] == [
        *(f"/feed/root/{version}" for version in (1, 2, 3)),
        "/feed/snapshot",
        "/feed/head",
        "/feed/events",
    ]
    assert server.asked("/feed/events")[0].query == {"after": "1:7"}
    # All of it on one connection.
    assert server.connections == 1


async def test_without_a_snapshot_the_feed_is_read_from_its_beginning(server: FeedServer, sink: KnowingSink) -> None:
    sink.wants_snapshot = True
    async with running(source_of(server), sink):
        await sink.has(2)
    assert server.asked("/feed/events")[0].query == {}


async def test_a_verifier_that_knows_the_feed_fetches_neither(server: FeedServer, sink: KnowingSink) -> None:
    server.publish_root()
    server.snapshot = [b"part one"]
    async with running(source_of(server), sink):
        await sink.has(2)
    assert {request.path for request in server.requests} == {"/feed/head", "/feed/events"}


async def test_root_documents_that_the_anchor_does_not_lead_to_are_passed_over(
    server: FeedServer, sink: KnowingSink
) -> None:
    server.publish_root()
    known = server.roots[0]
    server.roots = [b'{"another": 1}', b'{"another": 2}', known]
    sink.wants_snapshot = True

    adopt = sink._root
    sink._root = lambda version: adopt(version if version == 3 else 0)  # type: ignore[method-assign]
    async with running(source_of(server), sink):
        await sink.has(2)
    assert sink.root_version == 3
    assert len(server.asked(f"/feed/root/{sink.root_version + 1}")) == 1


async def test_a_root_document_that_is_not_adopted_ends_the_walk(server: FeedServer, sink: KnowingSink) -> None:
    server.publish_root()
    server.routes["/feed/root/"] = answers(whole(200, "application/jose+json", b'{"of": "a liar"}'))
    sink.wants_snapshot, sink.root_version = True, 1
    async with running(source_of(server), sink):
        await sink.has(2)
    assert [r.path for r in server.requests if "root" in r.path] == [f"/feed/root/{version}" for version in (2,)]


@pytest.mark.parametrize("reason", ["unknown_key", "wrong_epoch", "no_root_yet"])
async def test_an_unknown_key_makes_it_ask_for_root_documents(
    server: FeedServer, sink: KnowingSink, reason: str
) -> None:
    async with running(source_of(server), sink):
        await sink.has(2)
        server.publish_root()
        sink.refusal = reason
        server.shout(sse("record", b"signed by a key that is not known yet"))
        await eventually(lambda: sink.root_version == 1)
        cut_some(server, 1)
        await server.tell()
        await sink.has(3)
    assert any("root documents" in state for state in sink.states)


async def test_garbage_of_unknown_keys_causes_few_questions(server: FeedServer, sink: KnowingSink) -> None:
    sink.refusal = "unknown_key"
    async with running(source_of(server, replace(BRISK, roots_every=600.0)), sink):
        await sink.has(2)
        server.shout(sse("record", b"garbage"))
        await eventually(lambda: sink.states.count("reading") == 2)
        for number in range(5):
            server.shout(sse("record", b"garbage %d" % number))
        await eventually(lambda: b"garbage 4" in sink.delivered)
        cut_some(server, 1)
        await server.tell()
        await sink.has(3)
    assert len([r for r in server.requests if "root" in r.path]) == 1


# --- what goes wrong --------------------------------------------------------------------------------------------------


async def test_a_gap_is_asked_for_again_and_then_a_snapshot_is_taken(server: FeedServer, sink: KnowingSink) -> None:
    cut_some(server, 5)
    server.withheld = 4
    await server.beat()
    async with running(source_of(server), sink):
        await sink.says("records are missing; asking again")
        assert server.asked("/feed/snapshot") == []
        server.snapshot, sink.covered = [b"part one"], 7
        await sink.has(7)
    assert "waiting: records are missing; taking a snapshot" in sink.states


async def test_a_gap_that_is_healed_by_asking_again(server: FeedServer, sink: KnowingSink) -> None:
    cut_some(server, 5)
    server.withheld = 4
    await server.beat()
    async with running(source_of(server), sink):
        await sink.says("records are missing; asking again")
        server.withheld = 0
        await server.tell()
        await sink.has(7)


async def test_the_same_snapshot_is_not_sent_twice(server: FeedServer, sink: KnowingSink) -> None:
    server.snapshot = [b"part one", b"part two"]
    cut_some(server, 5)
    server.withheld = 4
    await server.beat()
    sink.covered = 3
    async with running(source_of(server), sink):
        await eventually(lambda: len(server.asked("/feed/snapshot")) >= 3)
    first, second, *_ = server.asked("/feed/snapshot")
    assert "if-none-match" not in first.headers
    assert second.headers["if-none-match"]
    assert sink.parts == server.snapshot


async def test_silence_makes_it_connect_anew(server: FeedServer, sink: KnowingSink) -> None:
    async with running(source_of(server, replace(BRISK, silence_max=0.2)), sink):
        await sink.says("no verified heartbeat for")
        await eventually(lambda: len(server.asked("/feed/events")) > 1)
        await server.beat()


async def test_what_another_source_brings_is_no_sign_of_life(server: FeedServer, sink: KnowingSink) -> None:
    cut_some(server, 600)
    server.withheld = 600
    async with running(source_of(server, replace(BRISK, silence_max=0.2)), sink):
        await sink.has(2)
        while not any("no verified heartbeat" in state for state in sink.states):
            sink.deliver(server.issuer.records[sink.applied])
            await asyncio.sleep(0.01)


async def test_goes_on_where_it_was_after_the_server_was_away(server: FeedServer, sink: KnowingSink) -> None:
    async with running(source_of(server), sink):
        await sink.has(2)
        await server.stop()
        await sink.says("cannot connect")
        cut_some(server, 3)
        await server.start()
        await sink.has(5)
    assert [raw for raw in sink.delivered if raw in server.issuer.records] == server.issuer.records


async def test_connections_are_not_opened_more_often_than_allowed(server: FeedServer, sink: KnowingSink) -> None:
    server.routes["/feed/head"] = answers(b"", close=True)
    timing = replace(BRISK, retry_min=0.0, connect_every=600.0)
    async with running(source_of(server, timing), sink):
        await sink.says("breaks off")
        await eventually(lambda: sink.states.count("connecting") == 2)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await eventually(lambda: server.connections > 1)
    assert server.connections == 1


async def test_patience_that_is_asked_for_is_given_within_bounds(server: FeedServer, sink: KnowingSink) -> None:
    busy = whole(503, "application/problem+json", b"{}", ("retry-after", "900000"))
    server.routes["/feed/events"] = answers(busy)
    async with running(source_of(server), sink):
        await sink.says("the server answers 503")
        del server.routes["/feed/events"]
        await sink.has(2)


async def test_stopping_while_the_server_says_nothing_is_quick_and_clean(server: FeedServer, sink: KnowingSink) -> None:
    async def nothing(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server.routes["/feed/head"] = nothing
    async with running(source_of(server, replace(BRISK, answer_max=600.0)), sink):
        await eventually(lambda: bool(server.asked("/feed/head")))


async def test_stopping_a_source_that_never_reached_a_server(sink: KnowingSink) -> None:
    async with running(HttpSource("http://127.0.0.1:9", timing=BRISK), sink):
        await sink.says("cannot connect (http://127.0.0.1:9)")


# --- what it needs ---------------------------------------------------------------------------------------------------


def test_whoever_follows_kafka_alone_loads_no_http_client() -> None:
    program = (
        "import sys; from ostraka_consumers import Verifier; from ostraka_consumers.sources import KafkaSource; "
        "sys.exit('httpx' in sys.modules or 'httpcore' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_without_httpx_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ConfigurationError, match=r"pip install .ostraka-consumers\[http\]"):
        HttpSource("https://id.example")
