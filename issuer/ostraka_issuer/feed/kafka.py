"""The Kafka clients of the feed, made in one place.

The producer is idempotent, except on the embedded broker, which cannot do that. Nothing rests on it: identical bytes
may be sent twice. None of them creates a topic by asking for it: ``topic.py`` does, with the settings the feed needs.
"""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from ostraka_consumers.limits import SOURCE_FETCH_BYTES
from ostraka_consumers.sources._aiokafka import forbid_topic_creation
from ostraka_consumers.sources._aiokafka_bounds import bound_frames, pass_over_compressed
from ostraka_schemas.limits import RECORD_MAX_BYTES

from ..limits import KAFKA_REQUEST
from ..settings import IssuerSettings

_REQUEST_MS = int(KAFKA_REQUEST * 1_000)
_RETRY_MS = 50
_FETCH_WAIT_MS = 20  # The embedded broker answers only when this has passed; Apache Kafka as soon as there is data.


def make_producer(settings: IssuerSettings, *, largest: int = RECORD_MAX_BYTES) -> AIOKafkaProducer:
    """A producer, not started, that sends at once and takes an acknowledgement from all replicas.

    Args:
        largest: bytes of the largest thing it has to send.
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka,
        client_id="ostraka-issuer",
        acks="all",
        enable_idempotence=not settings.kafka_embedded,
        linger_ms=0,
        max_batch_size=largest,
        request_timeout_ms=_REQUEST_MS,
        retry_backoff_ms=_RETRY_MS,
        **settings.kafka_options(),
    )
    forbid_topic_creation(producer)
    return producer


def make_consumer(settings: IssuerSettings) -> AIOKafkaConsumer:
    """A consumer, not started, of no group and with no topic: for ``assign`` and ``seek``.

    It reads what anybody may have written, and bears as much as a verifier does.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka,
        client_id="ostraka-issuer-check",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        fetch_max_bytes=SOURCE_FETCH_BYTES,
        max_partition_fetch_bytes=SOURCE_FETCH_BYTES,
        request_timeout_ms=_REQUEST_MS,
        retry_backoff_ms=_RETRY_MS,
        **settings.kafka_options(),
    )
    forbid_topic_creation(consumer)
    bound_frames(consumer)
    pass_over_compressed(consumer)
    return consumer


def make_admin(settings: IssuerSettings) -> AIOKafkaAdminClient:
    """An admin client, not started."""
    return AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka,
        client_id="ostraka-issuer-admin",
        request_timeout_ms=_REQUEST_MS,
        retry_backoff_ms=_RETRY_MS,
        **settings.kafka_options(),
    )
