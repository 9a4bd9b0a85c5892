"""What has to be done about aiokafka 0.14 before it can be trusted with a feed.

* ``stop()`` of a client whose broker is gone may raise ``CancelledError`` out of nowhere or hang, and then leaves its
  background tasks running: ``safe_stop``.
* ``start()`` that is cancelled forgets its first connection and the task that reads from it: ``safe_start``.
* Asking about a topic creates it where the cluster allows that, with whatever partitions are the default there; and
  asks thousands of times a second while the topic is missing: ``forbid_topic_creation``.
* A batch that cannot be decoded is fetched again for ever: ``Fetches``.

Some private attributes are used here and in ``_aiokafka_bounds``, and nowhere else; the version is bounded for that
reason.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Sequence, Set
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import (
    CorruptRecordException,
    KafkaConnectionError,
    KafkaError,
    LeaderNotAvailableError,
    ProducerClosed,
    TopicAuthorizationFailedError,
    UnsupportedCodecError,
    for_code,
)
from aiokafka.protocol.api import Response
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.record import MemoryRecords

from ostraka_consumers.uninterrupted import uninterrupted

logger = logging.getLogger(__name__)

START_SECONDS: Final = 1.0
"""How long a start goes on after its caller was cancelled. It takes some milliseconds where a broker answers at all."""

STOP_SECONDS: Final = 5.0
"""How long a client may take to say goodbye. A producer uses it to deliver what it still holds."""

CLOSE_SECONDS: Final = 1.0
"""How long each of the steps after that may take; they only cancel tasks and close sockets."""

MISSING_TOPIC_PAUSE: Final = 0.2
"""Between two questions about a topic that is not there."""

PROBE_MS: Final = 1_000
"""How long to wait for one batch, in milliseconds. Where there is one it comes within a few."""

UNREADABLE: Final = (CorruptRecordException, UnsupportedCodecError, UnicodeDecodeError)
"""A batch with a broken checksum, compressed in a way that nothing installed here can undo, or in which the name of a
header is no text."""

_BOOTSTRAP: Final = ("bootstrap", ConnectionGroup.DEFAULT)


async def safe_start(client: AIOKafkaConsumer | AIOKafkaProducer | AIOKafkaAdminClient) -> None:
    """Start a client. If the caller is cancelled meanwhile, the start is given ``START_SECONDS`` to end first.

    Raises what ``start()`` raises. Stop the client in any case.
    """
    starting = asyncio.create_task(client.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait({starting}, timeout=START_SECONDS)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        raise


async def safe_stop(client: AIOKafkaConsumer | AIOKafkaProducer, within: float = STOP_SECONDS) -> None:
    """Stop a consumer or producer, whatever state it and its broker are in, and leave no task behind.

    Raises nothing of its own. If the caller is cancelled meanwhile, the client is closed all the same and the
    cancellation is raised after that, so it may stand in a ``finally``.

    Args:
        client: started or not, or one whose ``start()`` failed.
        within: seconds given to an orderly stop; after that it is cut short, and what a producer could not deliver
            fails with ``ProducerClosed``.
    """
    # A task of its own: a CancelledError in there is aiokafka's, one out here is meant for the caller.
    await uninterrupted(_stop(client, within))


async def _stop(client: AIOKafkaConsumer | AIOKafkaProducer, within: float) -> None:
    if isinstance(client, AIOKafkaProducer):
        await _stop_producer(client, within)
        await _close_connections(client.client)
    else:
        await _stop_consumer(client, within)
        await _close_connections(client._client)  # noqa: SLF001


async def _stop_consumer(consumer: AIOKafkaConsumer, within: float) -> None:
    try:
        async with asyncio.timeout(within):
            await consumer.stop()
    except (asyncio.CancelledError, Exception) as error:  # noqa: BLE001 - it must be closed, whatever it says
        logger.debug("stopped a Kafka consumer the hard way: %r", error)


async def _stop_producer(producer: AIOKafkaProducer, within: float) -> None:
    """Flush first: ``stop()`` itself cannot be cut short without leaving tasks behind."""
    try:
        async with asyncio.timeout(within):
            await producer.flush()
            await producer.stop()
    except (asyncio.CancelledError, Exception) as error:  # noqa: BLE001 - it must be closed, whatever it says
        logger.debug("stopped a Kafka producer the hard way: %r", error)
        producer._closed = True  # noqa: SLF001
        await _end_sender(producer)


async def _end_sender(producer: AIOKafkaProducer) -> None:
    with contextlib.suppress(asyncio.CancelledError, Exception):
        async with asyncio.timeout(CLOSE_SECONDS):
            if producer._sender is not None:  # noqa: SLF001
                await producer._sender.close()  # noqa: SLF001
    # Its own fail_all() trips over batches that were on their way when the sender ended.
    accumulator = producer._message_accumulator  # noqa: SLF001
    waiting = [*accumulator._pending_batches, *(b for batches in accumulator._batches.values() for b in batches)]  # noqa: SLF001
    for batch in waiting:
        for future, _ in batch._msg_futures:  # noqa: SLF001
            if not future.done():
                future.set_exception(ProducerClosed())


async def _close_connections(client: AIOKafkaClient) -> None:
    """Close the connections and the task that keeps metadata fresh; no effect the second time."""
    with contextlib.suppress(asyncio.CancelledError, Exception):
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.close()


def forbid_topic_creation(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Make a client that was not started yet ask about topics without creating them."""
    inner: AIOKafkaClient = client.client if isinstance(client, AIOKafkaProducer) else client._client  # noqa: SLF001

    async def update(cluster: ClusterMetadata, topics: Set[str] | None) -> bool:
        return await _update_metadata(inner, cluster, topics)

    inner._metadata_update = update  # noqa: SLF001


async def _update_metadata(client: AIOKafkaClient, cluster: ClusterMetadata, topics: Set[str] | None) -> bool:
    """Do what ``AIOKafkaClient._metadata_update`` does, but create nothing, and take it easy if a topic is missing."""
    request = MetadataRequest(None if topics is None else sorted(topics), allow_auto_topic_creation=False)
    metadata = await _ask_any_node(client, request)
    if metadata is None or not metadata.brokers:
        return False
    cluster.update_metadata(metadata)
    bootstrap = client._conns.pop(_BOOTSTRAP, None)  # noqa: SLF001
    if bootstrap is not None:
        bootstrap.close()
    if topics is not None and not topics <= cluster.topics(exclude_internal_topics=False):
        await asyncio.sleep(MISSING_TOPIC_PAUSE)
    return True


async def _ask_any_node(client: AIOKafkaClient, request: MetadataRequest) -> Response | None:
    nodes = [broker.nodeId for broker in client.cluster.brokers()]
    random.shuffle(nodes)
    if _BOOTSTRAP in client._conns:  # noqa: SLF001
        nodes.append(_BOOTSTRAP[0])
    for node in nodes:
        connection = await client._get_conn(node)  # noqa: SLF001
        if connection is not None:
            with contextlib.suppress(KafkaError, TimeoutError):
                return await connection.send(request)
    return None


async def find_partitions(consumer: AIOKafkaConsumer, topic: str) -> Set[int]:
    """Ask which partitions a topic has; none if there is no such topic.

    Raises:
        KafkaError: nobody answered, or the topic must not be described.
    """
    client: AIOKafkaClient = consumer._client  # noqa: SLF001
    if not await client.add_topic(topic):
        raise KafkaConnectionError("no broker answers questions about topics")
    if topic in client.cluster.unauthorized_topics:
        raise TopicAuthorizationFailedError(topic)
    return consumer.partitions_for_topic(topic) or frozenset()


class Fetches:
    """Fetches from one partition, in order, and gets past batches that cannot be decoded.

    Args:
        consumer: to which the partition is assigned, at the position where to begin; it may be moved meanwhile.
        most: how many records to take at once.

    Attributes:
        passed: how many batches were passed over.
    """

    def __init__(self, consumer: AIOKafkaConsumer, partition: TopicPartition, most: int) -> None:
        self.passed = 0
        self._consumer: Final = consumer
        self._partition: Final = partition
        self._most: Final = most
        self._one_by_one = 0

    async def next(self, timeout_ms: int) -> Sequence[ConsumerRecord]:
        """What has arrived, at once; or nothing, after ``timeout_ms`` or when something cannot be decoded.

        Raises:
            KafkaError: whatever aiokafka raises, but for ``UNREADABLE``.
        """
        most = 1 if self._one_by_one else self._most
        try:
            batches = await self._consumer.getmany(self._partition, timeout_ms=timeout_ms, max_records=most)
        except UNREADABLE:
            await self._pass_unreadable()
            return ()
        self._one_by_one = max(0, self._one_by_one - 1)
        records: Sequence[ConsumerRecord] = batches.get(self._partition, ())
        return records

    async def _pass_unreadable(self) -> None:
        """Get past a batch that cannot be decoded, without losing the records before it in the same answer."""
        position = await self._consumer.position(self._partition)
        if not self._one_by_one:
            self._one_by_one = self._most
            return
        self._consumer.seek(self._partition, await next_readable(self._consumer, self._partition, position))
        self._one_by_one = 0
        self.passed += 1


async def next_readable(consumer: AIOKafkaConsumer, partition: TopicPartition, unreadable: int) -> int:
    """Find where the batch ends that cannot be read: its header can be, whatever became of its records.

    Args:
        consumer: its position stays what it is.
        partition: the partition to read.
        unreadable: an offset whose record cannot be decoded.

    Returns:
        The first offset after the batch. If its checksum is wrong its header says nothing: the next offset.

    Raises:
        KafkaError: the broker does not answer, or has nothing there any more.
    """
    client: AIOKafkaClient = consumer._client  # noqa: SLF001
    leader = client.cluster.leader_for_partition(partition)
    if leader is None or leader < 0:
        raise LeaderNotAvailableError(f"{partition.topic} has no leader")
    # However small the limits are: a broker never gives less than one batch (KIP-74).
    wanted = [(partition.topic, [(partition.partition, unreadable, 1)])]
    response = await client.send(leader, FetchRequest(PROBE_MS, 1, 1, 0, wanted))
    _, error, *_, data = response.topics[0][1][0]
    if error:
        raise for_code(error)(f"cannot read the batch at {unreadable}")
    return max(unreadable + 1, _batch_end(data or b""))


def _batch_end(data: bytes) -> int:
    """The offset after the first batch in there; 0 if there is no telling."""
    try:
        batches = MemoryRecords(bytes(data))
        batch = batches.next_batch() if batches.has_next() else None
        return int(batch.next_offset) if batch is not None and batch.validate_crc() else 0
    except CorruptRecordException:
        return 0
