import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete

from ostraka_issuer.errors import FeedAheadError
from ostraka_issuer.feed import FeedRole
from ostraka_issuer.feed.kafka import make_admin, make_consumer
from ostraka_issuer.feed.log import FeedLog
from ostraka_issuer.feed.roots import Voices
from ostraka_issuer.feed.selfcheck import Comparison, Findings, Landmark, find_again, is_another, read_topic
from ostraka_issuer.feed.topic import ensure_topic
from ostraka_issuer.store import Store
from ostraka_schemas.events import PermissionRevoked
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.limits import RECORD_MAX_BYTES
from ostraka_schemas.records import GENESIS, Head, Position, record_hash, sign_heartbeat, sign_record
from ostraka_schemas.subjects import Uri
from tests.issuer.feed.world import (
    ISSUER,
    KEY,
    commit,
    new_sequencer,
    produce,
    settings_for,
    stored,
    topic_values,
    until,
)
from tests.kafka.broker import Broker
from tests.kafka.fixtures import FreshTopic
from tests.support.batches import bad_header_batch, produce_batch, zstd_batch

VOICES = Voices(1, {KEY.kid: KEY.public})
STRANGER = SigningKey.generate("EdDSA")


@pytest.fixture
async def feed(store: Store) -> list[bytes]:
    await commit(store, *(f"t{number}" for number in range(6)))
    await new_sequencer(store).settle()
    return await stored(store)


def foreign_record(position: Position, key: SigningKey = KEY) -> bytes:
    return sign_record(
        key,
        iss=ISSUER,
        iat=1,
        jti="j",
        txn="t",
        position=position,
        prev=GENESIS,
        subject=Uri(uri=ISSUER),
        event=PermissionRevoked(permission="orders:create"),
    )


def heartbeat(head: Head, key: SigningKey = KEY) -> bytes:
    return sign_heartbeat(key, iss=ISSUER, iat=1, jti="j", head=head)


async def compare(store: Store, *values: bytes | None) -> Comparison:
    comparison = Comparison(FeedLog(store), VOICES, page=2)
    await comparison.take(values)
    return comparison


async def test_a_topic_with_everything_ends_at_the_head(store: Store, feed: list[bytes]) -> None:
    assert (await compare(store, *feed)).until == Position(1, 6)


async def test_an_empty_topic_and_an_empty_database(store: Store) -> None:
    comparison = await compare(store)
    assert (comparison.until, comparison.foreign) == (None, 0)


async def test_a_lost_tail(store: Store, feed: list[bytes]) -> None:
    assert (await compare(store, *feed[:4])).until == Position(1, 4)


async def test_a_lost_beginning(store: Store, feed: list[bytes]) -> None:
    assert (await compare(store, *feed[1:])).until is None


async def test_a_hole(store: Store, feed: list[bytes]) -> None:
    assert (await compare(store, *feed[:2], *feed[3:])).until == Position(1, 2)


async def test_a_hole_that_was_filled_by_sending_from_there_again(store: Store, feed: list[bytes]) -> None:
    comparison = await compare(store, *feed[:2], *feed[3:], *feed[2:])
    assert (comparison.until, comparison.foreign) == (Position(1, 6), 0)


async def test_duplicates_and_heartbeats_are_ours(store: Store, feed: list[bytes]) -> None:
    beats = [heartbeat(Head(Position(1, seq), record_hash(feed[seq - 1]))) for seq in (1, 3)]
    comparison = await compare(store, feed[0], beats[0], *feed[:3], beats[1], *feed, *feed, beats[0])
    assert (comparison.until, comparison.foreign) == (Position(1, 6), 0)


async def test_what_is_not_ours_is_counted_and_changes_nothing(store: Store, feed: list[bytes]) -> None:
    flipped = bytearray(feed[2])
    flipped[-1] ^= 1
    strange = [
        None,
        b"",
        b"{}",
        b"a.b.c",
        b"x" * (RECORD_MAX_BYTES + 1),
        feed[1] + b"=",
        bytes(flipped),
        foreign_record(Position(1, 7), STRANGER),
        foreign_record(Position(1, 2), STRANGER),
        heartbeat(Head(Position(1, 99), bytes(32)), STRANGER),
    ]
    mixed = [value for pair in zip(strange, [*feed, *feed], strict=False) for value in pair]
    comparison = await compare(store, *mixed)
    assert comparison.until == Position(1, 6)
    assert comparison.foreign == len(strange)


@pytest.mark.parametrize("position", [Position(1, 7), Position(1, 1_000), Position(2, 1)])
async def test_a_signed_record_past_the_head_means_that_the_database_is_old(
    store: Store, feed: list[bytes], position: Position
) -> None:
    with pytest.raises(FeedAheadError, match=f"a record at {position}.*older copy.*Restore.*new epoch"):
        await compare(store, *feed, foreign_record(position))


async def test_other_signed_bytes_for_a_known_place_mean_the_same(store: Store, feed: list[bytes]) -> None:
    with pytest.raises(FeedAheadError, match="other contents at 1:3"):
        await compare(store, *feed[:2], foreign_record(Position(1, 3)))


@pytest.mark.parametrize("seq", [3, 7])
async def test_a_signed_heartbeat_for_an_unknown_head_means_the_same(store: Store, feed: list[bytes], seq: int) -> None:
    with pytest.raises(FeedAheadError):
        await compare(store, *feed, heartbeat(Head(Position(1, seq), bytes(32))))


async def test_reading_a_whole_topic(store: Store, feed: list[bytes], kafka: Broker, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic("feed")
    settings = settings_for(kafka, topic)

    def consume() -> AIOKafkaConsumer:
        return make_consumer(settings)

    log = FeedLog(store)
    assert await read_topic(consume, topic, log, VOICES) == Findings(None, 0, 0)
    await produce(kafka.bootstrap, topic, *feed[:2], b"garbage", *feed[2:4])
    assert await read_topic(consume, topic, log, VOICES) == Findings(Position(1, 4), 5, 1)
    await produce(kafka.bootstrap, topic, foreign_record(Position(1, 7)))
    with pytest.raises(FeedAheadError):
        await read_topic(consume, topic, log, VOICES)


async def test_finding_the_last_known_record_again(
    store: Store, feed: list[bytes], kafka: Broker, fresh_topic: FreshTopic
) -> None:
    topic = await fresh_topic("feed")
    settings = settings_for(kafka, topic)

    def consume() -> AIOKafkaConsumer:
        return make_consumer(settings)

    def landmark(offset: int, seq: int) -> Landmark:
        return Landmark(offset, Head(Position(1, seq), record_hash(feed[seq - 1])))

    assert await find_again(consume, topic, landmark(0, 1)) is None
    await produce(kafka.bootstrap, topic, *feed[:3])
    assert await find_again(consume, topic, landmark(1, 2)) == 3
    assert await find_again(consume, topic, landmark(1, 3)) is None
    assert await find_again(consume, topic, landmark(3, 4)) is None
    for offset, seq, other in ((0, 1, False), (1, 2, False), (1, 3, True), (3, 4, True)):
        assert await is_another(consume, topic, landmark(offset, seq)) is other


# What is compressed is passed over like what retention took; to undo zstd would fail, for its codec is not installed.
UNREADABLE = pytest.mark.parametrize(
    ("batch", "counts"),
    [(zstd_batch(1), 0), (zstd_batch(100), 0), (bad_header_batch(1), 1)],
    ids=["zstd", "long", "header"],
)


@pytest.mark.true_kafka
@UNREADABLE
async def test_records_on_both_sides_of_a_batch_that_is_not_read_are_compared(
    store: Store, feed: list[bytes], kafka: Broker, fresh_topic: FreshTopic, batch: bytes, counts: int
) -> None:
    topic = await fresh_topic("feed")
    settings = settings_for(kafka, topic)

    def consume() -> AIOKafkaConsumer:
        return make_consumer(settings)

    log = FeedLog(store)
    await produce(kafka.bootstrap, topic, *feed[:2])
    await produce_batch(kafka.bootstrap, topic, batch)
    await produce_batch(kafka.bootstrap, topic, batch)
    await produce(kafka.bootstrap, topic, feed[2])
    await produce_batch(kafka.bootstrap, topic, batch)
    await produce(kafka.bootstrap, topic, *feed[3:5])
    found = await read_topic(consume, topic, log, VOICES)
    assert (found.until, found.foreign) == (Position(1, 5), 3 * counts)
    last = Landmark(found.end - 1, Head(Position(1, 5), record_hash(feed[4])))
    assert await find_again(consume, topic, last) == found.end
    # Also where it is the last thing there is, and where a record was expected.
    await produce_batch(kafka.bootstrap, topic, batch)
    after = await read_topic(consume, topic, log, VOICES)
    assert (after.until, after.foreign) == (Position(1, 5), 4 * counts)
    assert await find_again(consume, topic, last) == after.end
    assert await find_again(consume, topic, last._replace(offset=found.end)) is None
    await produce(kafka.bootstrap, topic, foreign_record(Position(1, 7)))
    with pytest.raises(FeedAheadError):
        await read_topic(consume, topic, log, VOICES)


@pytest.mark.true_kafka
@pytest.mark.parametrize(
    ("batch", "foreign"),
    # The topic keeps nothing compressed: the broker makes records of what came as one batch.
    [(zstd_batch(1), 1), (zstd_batch(100), 100), (bad_header_batch(1), 1)],
    ids=["zstd", "long", "header"],
)
async def test_a_feed_started_over_a_strangers_batch_publishes(
    store: Store, feed: list[bytes], kafka: Broker, topic_prefix: str, batch: bytes, foreign: int
) -> None:
    topic = f"{topic_prefix}.feed"
    settings = settings_for(kafka, topic)
    await ensure_topic(settings)
    await produce(kafka.bootstrap, topic, *feed[:4])
    await produce_batch(kafka.bootstrap, topic, batch)
    async with FeedRole(store, KEY, settings) as role:
        await commit(store, "after")
        role.wake()

        async def published() -> bool:
            state = await role.state()
            return (
                state.connected and state.unpublished == 0 and state.head is not None and state.head.position.seq == 7
            )

        await until(published)
        assert (await role.state()).foreign == foreign


# --- a topic whose beginning was deleted by retention ----------------------------------------------------------------


async def compare_rest(store: Store, *values: bytes | None) -> Comparison:
    comparison = Comparison(FeedLog(store), VOICES, shortened=True, page=2)
    await comparison.take(values)
    return comparison


async def test_what_retention_has_taken_is_not_sent_again(store: Store, feed: list[bytes]) -> None:
    comparison = await compare_rest(store, *feed[2:])
    assert (comparison.until, comparison.foreign) == (Position(1, 6), 0)
    assert (await compare_rest(store, *feed[2:4])).until == Position(1, 4)
    assert (await compare_rest(store, *feed)).until == Position(1, 6)


async def test_a_heartbeat_that_is_left_says_as_much_as_a_record(store: Store, feed: list[bytes]) -> None:
    beat = heartbeat(Head(Position(1, 3), record_hash(feed[2])))
    assert (await compare_rest(store, beat)).until == Position(1, 3)
    assert (await compare_rest(store, beat, beat, *feed[3:], beat)).until == Position(1, 6)


async def test_a_hole_behind_the_new_beginning_is_found(store: Store, feed: list[bytes]) -> None:
    assert (await compare_rest(store, *feed[1:3], *feed[4:])).until == Position(1, 3)


async def test_if_nothing_of_ours_is_left_everything_is_sent_again(store: Store, feed: list[bytes]) -> None:
    beat = heartbeat(Head(Position(1, 4), bytes(32)), STRANGER)
    strange = [None, b"garbage", foreign_record(Position(1, 4), STRANGER), beat]
    comparison = await compare_rest(store, *strange)
    assert (comparison.until, comparison.foreign) == (None, 4)
    assert (await compare_rest(store, *strange, *feed[4:])).until == Position(1, 6)


async def test_ahead_is_ahead_there_too(store: Store, feed: list[bytes]) -> None:
    with pytest.raises(FeedAheadError):
        await compare_rest(store, *feed[3:], foreign_record(Position(1, 7)))


@pytest.mark.true_kafka
async def test_a_topic_that_begins_in_the_middle(
    store: Store, feed: list[bytes], kafka: Broker, topic_prefix: str
) -> None:
    settings = settings_for(kafka, f"{topic_prefix}.feed")
    await ensure_topic(settings)
    await produce(kafka.bootstrap, settings.feed_topic, *feed[:4])
    admin = make_admin(settings)
    await admin.start()
    await admin.delete_records({TopicPartition(settings.feed_topic, 0): RecordsToDelete(before_offset=2)})
    await admin.close()
    found = await read_topic(lambda: make_consumer(settings), settings.feed_topic, FeedLog(store), VOICES)
    assert found == Findings(Position(1, 4), 4, 0)
    taken = Landmark(1, Head(Position(1, 2), record_hash(feed[1])))
    assert await find_again(lambda: make_consumer(settings), settings.feed_topic, taken) is None
    assert not await is_another(lambda: make_consumer(settings), settings.feed_topic, taken)
    async with FeedRole(store, KEY, settings) as role:

        async def published() -> bool:
            state = await role.state()
            return state.connected and state.unpublished == 0

        await until(published)
    records = [value for value in await topic_values(kafka.bootstrap, settings.feed_topic) if value in feed]
    assert records == feed[2:]
