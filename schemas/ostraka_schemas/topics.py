"""The Kafka topics and the settings they are made with. Nothing about trust rests on any of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .limits import RECORD_MAX_BYTES, SNAPSHOT_PART_MAX_BYTES

_BATCH_OVERHEAD_BYTES: Final = 4 * 1024
"""Kafka bounds the batch, not the record; a batch of one has some 80 bytes around it."""

_NEVER_COMPRESSED: Final = {"compression.type": "uncompressed"}
"""By default a broker keeps what came compressed as it is, and a few kilobytes of that may be gigabytes. Verifiers pass
over it; with this no honest broker has any."""


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """How a topic is made, and what ``doctor``-like checks hold it to."""

    name: str
    partitions: int
    configs: Mapping[str, str]


FEED_TOPIC: Final = "ostraka.feed"
SNAPSHOTS_TOPIC: Final = "ostraka.snapshots"

FEED: Final = TopicSettings(
    name=FEED_TOPIC,
    partitions=1,
    configs={
        "cleanup.policy": "delete",
        # Whoever was away longer starts from a snapshot, as a newcomer does.
        "retention.ms": str(7 * 24 * 3600 * 1000),
        "retention.bytes": "-1",
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(RECORD_MAX_BYTES + _BATCH_OVERHEAD_BYTES),
        **_NEVER_COMPRESSED,
    },
)

SNAPSHOTS: Final = TopicSettings(
    name=SNAPSHOTS_TOPIC,
    partitions=1,
    configs={
        "cleanup.policy": "delete",
        # Each whole one replaces all before it; a few are kept for those who are just reading one.
        "retention.ms": str(15 * 60 * 1000),
        "retention.bytes": "-1",
        # Kafka deletes closed segments only, so they are to be closed often.
        "segment.ms": str(5 * 60 * 1000),
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(SNAPSHOT_PART_MAX_BYTES + _BATCH_OVERHEAD_BYTES),
        **_NEVER_COMPRESSED,
    },
)


def snapshots_topic(feed_topic: str) -> str:
    """The topic of the snapshots that go with a feed, also where that has a name of its own."""
    return feed_topic.removesuffix(".feed") + ".snapshots"


REJECTED_SUFFIX: Final = ".rejected"
"""Messages with a refused token go, byte for byte, to the topic of the same name with this ending."""
