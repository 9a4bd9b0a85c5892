"""The feed over HTTP: head, records as lines and as a stream, root documents."""

import asyncio
from pathlib import Path

import pytest
from starlette.types import Message

from ostraka_issuer.errors import StoreUnavailable
from ostraka_issuer.feed.channel import Channel
from ostraka_issuer.feed.frames import START, Entry, make_entry
from ostraka_issuer.feed.log import FeedLog, StoredRecord
from ostraka_issuer.feed.recent import Recent
from ostraka_issuer.feed.snapshot import Snapshot
from ostraka_issuer.feed.topic import snapshots_topic
from ostraka_issuer.http.feed_answers import Answers
from ostraka_issuer.http.feed_documents import LargeAnswer
from ostraka_issuer.http.feed_stream import EventStream, wants_stream
from ostraka_issuer.http.seats import Seats
from ostraka_issuer.limits import FEED_READ_PAGE, SNAPSHOT_SLICE
from ostraka_schemas import base64url, jws
from ostraka_schemas.limits import RECORD_MAX_BYTES, SNAPSHOT_PART_MAX_BYTES
from ostraka_schemas.records import Heartbeat, Position, Record, read_payload
from ostraka_schemas.snapshots import SnapshotPart
from ostraka_schemas.snapshots import read_payload as read_any_payload
from tests.issuer.feed.test_follower import Database, beat, record
from tests.issuer.feed.world import topic_values, until, writer_of
from tests.issuer.front import Desk, open_desk
from tests.issuer.streams import StreamReader
from tests.issuer.test_http_login import assert_problem
from tests.kafka.broker import Broker
from tests.support.ceremony import publish_next


def read(raw: bytes) -> Record | Heartbeat:
    """Not verified."""
    return read_payload(base64url.decode(jws.split(raw, max_bytes=RECORD_MAX_BYTES).payload))


def read_any(raw: bytes) -> object:
    """Not verified either; parts of snapshots too."""
    return read_any_payload(base64url.decode(jws.split(raw, max_bytes=SNAPSHOT_PART_MAX_BYTES).payload))


async def stored(desk: Desk) -> list[bytes]:
    return [record.raw for record in await FeedLog(desk.issuer.store).after(None, 1_000)]


async def revoke(desk: Desk) -> None:
    order = {"kind": "permission", "permission": "reports:read", "reason": "a test"}
    answer = await desk.client.post("/admin/revocations", headers=await desk.bearer(), json=order)
    assert answer.status_code < 300, answer.text
    await desk.applied(answer)


async def beating(desk: Desk) -> None:
    """Wait for a heartbeat that vouches for the whole feed. Another may follow it at any moment."""

    def due() -> bool:
        found, head = desk.issuer.feed.channel.beat, desk.issuer.feed.head()
        return found is not None and found.head == head

    writer_of(desk.issuer.feed).heart.beat_now()
    await until(due, "a heartbeat")


def vouches(desk: Desk, raw: bytes) -> bool:
    """Whether it is a heartbeat that vouches for the whole feed."""
    heartbeat = read(raw)
    return isinstance(heartbeat, Heartbeat) and heartbeat.head == desk.issuer.feed.head()


# --- head ------------------------------------------------------------------------------------------------------------


async def test_head_is_the_newest_heartbeat(desk: Desk) -> None:
    await beating(desk)
    before = desk.issuer.feed.channel.beat
    answer = await desk.client.get("/feed/head")
    assert answer.status_code == 200
    assert answer.content in [beat.raw for beat in (before, desk.issuer.feed.channel.beat) if beat is not None]
    assert answer.headers["content-type"] == "application/secevent+jwt"
    assert answer.headers["cache-control"] == "no-store"
    assert vouches(desk, answer.content)


async def test_before_the_first_heartbeat_there_is_no_head(desk: Desk) -> None:
    desk.issuer.feed._view.channel = Channel(FeedLog(desk.issuer.store).after)
    answer = await desk.client.get("/feed/head")
    assert_problem(answer, 503, "not_yet")
    assert answer.headers["retry-after"] == "1"


# --- lines -----------------------------------------------------------------------------------------------------------


async def test_all_records_and_then_the_heartbeat(desk: Desk) -> None:
    await revoke(desk)
    await beating(desk)
    for everything in ("", "?after=0:0", "?after=0:7", "?wait=0"):
        answer = await desk.client.get(f"/feed/events{everything}")
        assert answer.headers["content-type"] == "text/plain"
        assert answer.content.endswith(b"\n")
        *records, last = answer.content[:-1].split(b"\n")
        assert records == await stored(desk)
        assert vouches(desk, last)


async def test_only_what_stands_after_the_place(desk: Desk) -> None:
    await beating(desk)
    for after, behind in (("1:1", 1), ("1:2", 0), ("1:9007199254740991", 0), ("7:1", 0)):
        *records, last = (await desk.client.get(f"/feed/events?after={after}")).content.splitlines()
        assert records == (await stored(desk))[2 - behind :]
        assert vouches(desk, last)


@pytest.mark.parametrize(
    "query",
    ["after=", "after=1", "after=1:", "after=-1:2", "after=1:2:3", "after=1:%202", "wait=31", "wait=-1", "wait=x"],
)
async def test_a_wrong_question_is_refused(desk: Desk, query: str) -> None:
    assert_problem(await desk.client.get(f"/feed/events?{query}"), 422, "invalid_request")


async def test_a_place_that_no_feed_reaches_is_refused(desk: Desk) -> None:
    assert_problem(await desk.client.get("/feed/events?after=1:9999999999999999"), 400, "bad_request")


async def test_a_long_poll_is_answered_when_there_is_a_record(desk: Desk) -> None:
    asked = asyncio.create_task(desk.client.get("/feed/events?after=1:2&wait=30"))
    await until(lambda: desk.issuer.feed.channel.new_record._waiting)
    # A heartbeat is no record: it does not end the wait.
    await beating(desk)
    assert not asked.done()
    await revoke(desk)
    lines = (await asyncio.wait_for(asked, 30)).content.splitlines()
    assert lines[0] == (await stored(desk))[2]
    assert len(lines) <= 2


async def test_a_long_poll_is_answered_when_its_time_is_up(desk: Desk) -> None:
    await beating(desk)
    (line,) = (await desk.client.get("/feed/events?after=1:2&wait=0.05")).content.splitlines()
    assert vouches(desk, line)
    assert not desk.issuer.feed.channel.new_record._waiting


async def test_an_answer_that_does_not_reach_the_head_has_no_heartbeat() -> None:
    channel = Channel(Database(5).read)
    channel.push([record(seq) for seq in range(1, 6)])
    channel.push_beat(beat(5))
    answers = Answers()
    page = await channel.after(START, most=2)
    assert answers.text(START, page, channel.beat) == b"raw 1\nraw 2\n"
    page = await channel.after(Position(1, 2))
    assert answers.text(Position(1, 2), page, channel.beat) == b"raw 3\nraw 4\nraw 5\nbeat at 5\n"


async def test_the_same_answer_is_made_once_and_few_are_kept() -> None:
    channel = Channel(Database().read)
    channel.push([record(seq) for seq in range(1, 6)])
    answers = Answers(most=2)
    page = await channel.after(START)
    made = answers.text(START, page, None)
    assert answers.text(START, page, None) is made
    channel.push_beat(beat(5))
    assert answers.text(START, page, channel.beat) == made + b"beat at 5\n"
    for seq in range(1, 5):
        answers.text(Position(1, seq), await channel.after(Position(1, seq)), None)
    assert len(answers._made) == 2


async def test_readers_beyond_the_bound_are_told_to_come_again(desk: Desk) -> None:
    desk.app.state.readers = Seats(1)
    asked = asyncio.create_task(desk.client.get("/feed/events?after=1:2&wait=30"))
    await until(lambda: desk.issuer.feed.channel.new_record._waiting)
    answer = await desk.client.get("/feed/events")
    assert_problem(answer, 503, "too_many_readers")
    assert answer.headers["retry-after"] == "5"
    async with StreamReader(desk.app) as refused:
        await refused.end()
        assert refused.status == 503
    await revoke(desk)
    await asked
    assert (await desk.client.get("/feed/events")).status_code == 200


async def test_without_a_database_the_newest_are_served_all_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = await stored(desk)

    async def broken(*_: object) -> None:
        raise StoreUnavailable("the database did not do it: disk I/O error")

    monkeypatch.setattr(FeedLog, "after", broken)
    assert (await desk.client.get("/feed/events")).content.splitlines()[:2] == records
    # What is not in memory is not to be had.
    desk.issuer.feed._view.channel = Channel(desk.issuer.feed._view.log.after, Recent(most=1))
    desk.issuer.feed._view.channel.push([record(8), record(9)])
    assert_problem(await desk.client.get("/feed/events"), 503, "store_unavailable")
    async with StreamReader(desk.app) as refused:
        await refused.end()
        assert refused.status == 503


# --- stream ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/event-stream", True),
        ("text/plain, Text/Event-Stream;q=0.5", True),
        ("text/event-stream; q=0", False),
        ("text/event-stream;q=0.000, */*", False),
        ("text/plain", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_a_stream_is_for_those_who_ask_for_one(accept: str, wanted: bool) -> None:
    assert wants_stream([accept]) is wanted
    assert wants_stream(["application/json", accept]) is wanted


async def test_backlog_then_heartbeat_then_what_comes(desk: Desk) -> None:
    await beating(desk)
    async with StreamReader(desk.app) as reader:
        records = await stored(desk)
        first, second, beat = (await reader.until(3))[:3]
        assert [first, second] == [("record", "1:1", records[0]), ("record", "1:2", records[1])]
        assert beat[:2] == ("heartbeat", None)
        assert vouches(desk, beat[2])
        assert reader.headers["content-type"] == "text/event-stream"
        await revoke(desk)
        newest = (await stored(desk))[2]
        await until(lambda: ("record", "1:3", newest) in reader.events())
        await beating(desk)
        await until(lambda: reader.events()[-1][0] == "heartbeat" and vouches(desk, reader.events()[-1][2]))
        assert not reader.ended


async def test_whoever_comes_again_goes_on_where_it_was(desk: Desk) -> None:
    await beating(desk)
    records = await stored(desk)
    async with StreamReader(desk.app, "after=1:1") as reader:
        assert (await reader.until(1))[0] == ("record", "1:2", records[1])
    # A browser repeats the address with which it began.
    async with StreamReader(desk.app, "after=0:0", {"last-event-id": "1:1"}) as reader:
        assert (await reader.until(1))[0] == ("record", "1:2", records[1])
    async with StreamReader(desk.app, "", {"last-event-id": "nonsense"}) as reader:
        await reader.end()
        assert reader.status == 422


async def test_a_reader_that_goes_leaves_nothing_behind(desk: Desk) -> None:
    before = asyncio.all_tasks()
    async with StreamReader(desk.app) as reader:
        await reader.until(2)
        reader.go()
        await reader.end()
    assert asyncio.all_tasks() - before == set()
    assert not desk.issuer.feed.channel.news._waiting


async def test_everyone_is_let_go_when_the_issuer_ends(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        reader = StreamReader(desk.app)
        await reader.__aenter__()
        await reader.until(2)
        asked = asyncio.create_task(desk.client.get("/feed/events?after=1:2&wait=30"))
        await until(lambda: desk.issuer.feed.channel.new_record._waiting)
        desk.issuer.feed.channel.close()
        await reader.end()
        assert reader.ended
        assert (await asked).status_code == 200


async def test_a_reader_that_takes_nothing_is_dropped_and_holds_up_nobody() -> None:
    channel, seats = Channel(Database().read), Seats(2)
    channel.push([record(1)])
    slow, quick = StreamReader(app(channel, seats, 0.2)), StreamReader(app(channel, seats, 30))
    slow.taking.clear()
    async with slow, quick:
        await quick.until(1)
        channel.push([record(2)])
        await quick.until(2)
        await slow.end()
        assert slow.status == 0
        assert not slow.ended
        with seats.taken():
            channel.push([record(3)])
            await quick.until(3)


async def test_what_a_slow_reader_missed_is_read_from_the_database() -> None:
    database = Database()
    channel = Channel(database.read, Recent(most=4))
    channel.push([record(1)])
    reader = StreamReader(app(channel, Seats(1), 30))
    async with reader:
        await reader.until(1)
        reader.taking.clear()
        for seq in range(2, 51):
            database.head = seq
            channel.push([record(seq)])
            await asyncio.sleep(0)
        channel.push_beat(beat(50))
        reader.taking.set()
        events = await reader.until(51)
        assert [id_ for _, id_, _ in events] == [*(f"1:{seq}" for seq in range(1, 51)), None]
    assert database.reads


async def test_a_database_that_fails_ends_the_stream_in_order() -> None:
    database = Database(3)
    channel = Channel(database.read, Recent(most=1))
    channel.push([record(3)])
    reader = StreamReader(app(channel, Seats(1), 30))
    reader.taking.clear()
    async with reader:
        await until(lambda: database.reads)
        channel.push([record(4), record(5), record(6)])
        database.broken = True
        reader.taking.set()
        await reader.end()
        assert reader.ended
        assert len(reader.events()) == 3


def app(channel: Channel, seats: Seats, patience: float) -> EventStream:
    return EventStream(channel, START, seats, patience=patience)


async def test_five_thousand_readers_cost_one_encoding_and_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who come all at once from far behind, and the same when they follow."""
    encoded: list[Position] = []

    def counting(stored: StoredRecord) -> Entry:
        encoded.append(stored.position)
        return make_entry(stored)

    monkeypatch.setattr("ostraka_issuer.feed.channel.make_entry", counting)
    database, seats = Database(300), Seats(5_000)
    channel = Channel(database.read, Recent(most=50))
    channel.begin([record(seq) for seq in range(251, 301)], whole=False)
    encoded.clear()
    received: list[list[bytes]] = [[] for _ in range(5_000)]

    async def follow(mine: list[bytes]) -> None:
        async def send(message: Message) -> None:
            if message.get("body"):
                mine.append(message["body"])

        async def receive() -> Message:
            await asyncio.Event().wait()
            return {}

        await EventStream(channel, Position(1, 150), seats)({}, receive, send)

    tasks = [asyncio.create_task(follow(mine)) for mine in received]
    await until(lambda: all(mine and b"id: 1:300\n" in mine[-1] for mine in received))
    assert database.reads == 1
    assert len(encoded) == FEED_READ_PAGE
    for seq in (301, 302, 303):
        channel.push([record(seq)])
        await until(lambda seq=seq: all(b"id: 1:%d\n" % seq in mine[-1] for mine in received))
    assert len(encoded) == FEED_READ_PAGE + 3
    # Not only made once: it is one object in all of them.
    assert all(mine[-1] is received[0][-1] for mine in received)
    assert database.reads == 1
    channel.close()
    await asyncio.gather(*tasks)


# --- root documents and snapshots ------------------------------------------------------------------------------------


async def newest(desk: Desk) -> Snapshot:
    found: Snapshot = await until(lambda: desk.issuer.snapshots.newest, "a snapshot")
    return found


async def test_a_snapshot_is_its_parts_one_a_line(desk: Desk) -> None:
    snapshot = await newest(desk)
    answer = await desk.client.get("/feed/snapshot")
    assert (answer.status_code, answer.content) == (200, snapshot.body)
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["etag"] == snapshot.etag
    (part,) = answer.content.splitlines()
    content = read_any(part)
    assert isinstance(content, SnapshotPart)
    assert (content.part, content.parts, content.head) == (1, 1, snapshot.head)


async def test_whoever_has_it_is_told_so(desk: Desk) -> None:
    tag = (await newest(desk)).etag
    for named in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        answer = await desk.client.get("/feed/snapshot", headers={"if-none-match": named})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    for other in ('"other"', tag.strip('"'), ""):
        assert (await desk.client.get("/feed/snapshot", headers={"if-none-match": other})).status_code == 200
    desk.issuer.feed.wake()
    desk.issuer.snapshots._snapshots._made_at = -1_000.0
    await until(lambda: desk.issuer.snapshots.newest is not None and desk.issuer.snapshots.newest.etag != tag)
    assert (await desk.client.get("/feed/snapshot", headers={"if-none-match": tag})).status_code == 200


async def test_before_the_first_snapshot_there_is_none(desk: Desk) -> None:
    await desk.issuer.snapshots.stop()
    desk.issuer.snapshots._snapshots._newest = None
    answer = await desk.client.get("/feed/snapshot")
    assert_problem(answer, 503, "not_yet")
    assert answer.headers["retry-after"] == "1"


async def test_a_large_snapshot_goes_out_in_slices_and_few_at_once(desk: Desk) -> None:
    snapshot = await newest(desk)
    await desk.issuer.snapshots.stop()
    body = bytes(range(256)) * 1_024
    desk.issuer.snapshots._snapshots._newest = snapshot._replace(body=body, etag='"large"')
    answer = await desk.client.get("/feed/snapshot")
    assert answer.content == body
    assert answer.headers["content-length"] == str(len(body))
    assert answer.headers["etag"] == '"large"'
    desk.app.state.snapshot_readers = Seats(0)
    assert_problem(await desk.client.get("/feed/snapshot"), 503, "too_many_readers")


async def test_slices_wait_for_whoever_takes_them_and_not_for_ever() -> None:
    body, sent = b"x" * (3 * SNAPSHOT_SLICE + 1), []

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) == 3:
            await asyncio.Event().wait()

    async def receive() -> Message:
        raise AssertionError("nothing to be asked")

    seats = Seats(1)
    await LargeAnswer(body, {}, seats, patience=0.01)({}, receive, send)
    assert [len(message["body"]) for message in sent[1:]] == [SNAPSHOT_SLICE, SNAPSHOT_SLICE]
    assert all(message["more_body"] for message in sent[1:])
    with seats.taken():
        pass


async def test_root_documents_by_version(desk: Desk) -> None:
    await publish_next(desk.issuer.settings)
    desk.issuer.feed.wake()
    signed = await until(lambda: two_roots(desk), "the second root document")
    for version, raw in enumerate(signed, start=1):
        answer = await desk.client.get(f"/feed/root/{version}")
        assert (answer.status_code, answer.content) == (200, raw)
        assert answer.headers["content-type"] == "application/jose+json"
    for unknown in ("3", "9007199254740991"):
        assert_problem(await desk.client.get(f"/feed/root/{unknown}"), 404, "not_found")
    for wrong in ("0", "-1", "x", "9007199254740992"):
        assert_problem(await desk.client.get(f"/feed/root/{wrong}"), 422, "invalid_request")


async def two_roots(desk: Desk) -> list[bytes]:
    signed = await desk.issuer.feed.signed_roots()
    return signed if len(signed) == 2 else []


# --- both channels ---------------------------------------------------------------------------------------------------


async def test_http_and_kafka_carry_the_same_bytes(tmp_path: Path, kafka: Broker, topic_prefix: str) -> None:
    """Records, heartbeats, root documents, parts of snapshots: whoever merges the two merges equals."""
    topic = f"{topic_prefix}.feed"
    async with (
        open_desk(
            tmp_path, kafka=kafka.bootstrap, kafka_embedded=not kafka.true_kafka, feed_topic=topic, heartbeat_interval=1
        ) as desk,
        StreamReader(desk.app) as reader,
    ):
        await revoke(desk)
        await publish_next(desk.issuer.settings)
        desk.issuer.feed.wake()
        await until(lambda: two_roots(desk))
        await revoke(desk)
        await until(lambda: published_under(desk, 2), "a published snapshot")
        await until(lambda: published_all(desk), "the feed on Kafka")
        polled = (await desk.client.get("/feed/events")).content.splitlines()[:-1]
        streamed = [data for kind, _, data in await reader.until(len(polled)) if kind == "record"]
        beats = [data for kind, _, data in reader.events() if kind == "heartbeat"]
        roots = [(await desk.client.get(f"/feed/root/{version}")).content for version in (1, 2)]
        parts = (await desk.client.get("/feed/snapshot")).content.splitlines()
        on_kafka = await topic_values(kafka.bootstrap, topic)
        snapshots = await topic_values(kafka.bootstrap, snapshots_topic(desk.issuer.settings).name)
    records = [value for value in on_kafka if value is not None and isinstance(read(value), Record)]
    assert polled == records == streamed
    heard = [value for value in on_kafka if value is not None and isinstance(read(value), Heartbeat)]
    assert heard
    # Each source may have missed some of those made before it was there.
    assert set(heard) & set(beats)
    assert snapshots[-len(roots) - len(parts) :] == [*roots, *parts]


def of_kind(reader: StreamReader, kind: str, least: int) -> list[bytes]:
    found = [data for found, _, data in reader.events() if found == kind]
    return found if len(found) >= least else []


def published_under(desk: Desk, version: int) -> bool:
    published = desk.issuer.snapshots._publisher.published
    return published is not None and published is desk.issuer.snapshots.newest and published.root_version == version


async def published_all(desk: Desk) -> bool:
    state = await desk.issuer.feed.state()
    return state.connected and state.unpublished == 0 and state.publishing == "publishing"
