from ostraka_schemas.limits import RECORD_MAX_BYTES, SNAPSHOT_PART_MAX_BYTES
from ostraka_schemas.topics import FEED, FEED_TOPIC, REJECTED_SUFFIX, SNAPSHOTS, SNAPSHOTS_TOPIC, snapshots_topic


def test_the_feed_is_one_partition_and_kept_for_more_than_a_day() -> None:
    assert (FEED.name, FEED.partitions) == (FEED_TOPIC, 1) == ("ostraka.feed", 1)
    assert FEED.configs["cleanup.policy"] == "delete"
    assert int(FEED.configs["retention.ms"]) >= 24 * 3600 * 1000
    assert FEED.configs["message.timestamp.type"] == "LogAppendTime"


def test_snapshots_are_soon_forgotten_but_not_before_the_next_ones() -> None:
    assert (SNAPSHOTS.name, SNAPSHOTS.partitions) == (SNAPSHOTS_TOPIC, 1) == ("ostraka.snapshots", 1)
    assert SNAPSHOTS.configs["cleanup.policy"] == "delete"
    assert 600_000 <= int(SNAPSHOTS.configs["retention.ms"]) <= 3_600_000
    assert int(SNAPSHOTS.configs["segment.ms"]) < int(SNAPSHOTS.configs["retention.ms"])


def test_the_largest_part_of_a_snapshot_fits_into_a_batch() -> None:
    assert SNAPSHOT_PART_MAX_BYTES < int(SNAPSHOTS.configs["max.message.bytes"]) < 2 * SNAPSHOT_PART_MAX_BYTES


def test_the_largest_record_fits_into_a_batch() -> None:
    assert RECORD_MAX_BYTES < int(FEED.configs["max.message.bytes"]) < 2 * RECORD_MAX_BYTES


def test_no_broker_keeps_anything_compressed() -> None:
    assert {topic.configs["compression.type"] for topic in (FEED, SNAPSHOTS)} == {"uncompressed"}


def test_kafka_takes_every_setting_as_text() -> None:
    assert all(isinstance(value, str) for topic in (FEED, SNAPSHOTS) for value in topic.configs.values())


def test_the_ending_of_rejected_topics() -> None:
    assert REJECTED_SUFFIX == ".rejected"


def test_snapshots_go_beside_their_feed() -> None:
    assert snapshots_topic(FEED_TOPIC) == SNAPSHOTS_TOPIC
    assert snapshots_topic("shop.feed") == "shop.snapshots"
    assert snapshots_topic("revocations") == "revocations.snapshots"
