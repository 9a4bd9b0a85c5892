"""The topics, described for people and tools: ``faststream docs gen ostraka_issuer.asyncapi:app``.

It only describes. The feed is published by ``ostraka_issuer.feed`` with the plain Kafka client.
"""

from typing import Final

from faststream import FastStream
from faststream.kafka import KafkaBroker, Topic
from faststream.specification import AsyncAPI

from ostraka_schemas.records import HeartbeatPayload, RecordPayload
from ostraka_schemas.snapshots import SnapshotPayload
from ostraka_schemas.topics import FEED_TOPIC, SNAPSHOTS_TOPIC

_FEED: Final = """\
The signed, ordered log of what the issuer has to say. One partition; kept for seven days; only the issuer writes.

Each message is a compact JWS (RFC 7515, header exactly `alg`, `kid`, `typ`: `secevent+jwt`) in ASCII, at most 64 KiB.
Its payload is either a record, whose place in the chain is `feed`, or a heartbeat, which says where the chain ended at
`iat`. Kafka's keys, headers, offsets and timestamps mean nothing. Read it with a verifier of `ostraka_consumers`, which
checks signatures, order and completeness, or not at all.
"""

_SNAPSHOTS: Final = """\
What a newcomer needs instead of history: every root document (general JWS, JSON), then all parts of one snapshot, each
a compact JWS of at most 256 KiB. The same again every few minutes or thousand records; only the last whole one counts.
One partition; kept for a quarter of an hour; only the issuer writes.
"""

broker = KafkaBroker()
broker.publisher(
    Topic(FEED_TOPIC, declare=False),
    title="feed",
    description=_FEED,
    schema=RecordPayload | HeartbeatPayload,
)
broker.publisher(
    Topic(SNAPSHOTS_TOPIC, declare=False),
    title="snapshots",
    description=_SNAPSHOTS,
    schema=SnapshotPayload,
)
app = FastStream(
    broker,
    specification=AsyncAPI(
        title="Ostraka",
        version="1",
        description="Signed events that verifiers follow: keys, revocations, heartbeats.",
    ),
)
