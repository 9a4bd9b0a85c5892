from ostraka_schemas.limits import RECORD_MAX_BYTES
from ostraka_schemas.topics import FEED, FEED_TOPIC, REJECTED_SUFFIX


def test_the_feed_is_one_partition_that_forgets_nothing() -> None:
    assert (FEED.name, FEED.partitions) == (FEED_TOPIC, 1) == ("ostraka.feed", 1)
    assert FEED.configs["cleanup.policy"] == "delete"
    assert FEED.configs["retention.ms"] == FEED.configs["retention.bytes"] == "-1"
    assert FEED.configs["message.timestamp.type"] == "LogAppendTime"


def test_the_largest_record_fits_into_a_batch() -> None:
    assert RECORD_MAX_BYTES < int(FEED.configs["max.message.bytes"]) < 2 * RECORD_MAX_BYTES


def test_kafka_takes_every_setting_as_text() -> None:
    assert all(isinstance(value, str) for value in FEED.configs.values())


def test_the_ending_of_rejected_topics() -> None:
    assert REJECTED_SUFFIX == ".rejected"
