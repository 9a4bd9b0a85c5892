"""What has to be done about aiokafka 0.14 before it can be trusted with a feed.

``stop()`` of a client whose broker is gone may raise ``CancelledError`` out of nowhere or hang, and then leaves its
background tasks running. Some private attributes are used here, and only here; the version is bounded for that reason.
"""

import asyncio
import contextlib
import logging
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import ProducerClosed

logger = logging.getLogger(__name__)

STOP_SECONDS: Final = 5.0
"""How long a client may take to say goodbye. A producer uses it to deliver what it still holds."""

CLOSE_SECONDS: Final = 1.0
"""How long each of the steps after that may take; they only cancel tasks and close sockets."""


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
    stopping = asyncio.create_task(_stop(client, within))
    cancelled: asyncio.CancelledError | None = None
    while not stopping.done():
        try:
            await asyncio.wait({stopping})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


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
