"""Is a broker ready? Asked with the protocol, not guessed from its log."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

POLL_SECONDS = 0.05


class BrokerError(Exception):
    """A broker for the tests cannot be had or does not answer; the message says why and what to do."""


async def wait_until_ready(
    bootstrap: str, within: float, check: Callable[[], None], options: Mapping[str, Any] | None = None
) -> None:
    """Returns when the broker is registered and every partition of every topic has a leader.

    Args:
        bootstrap: ``host:port``.
        within: seconds to wait at most.
        check: called between attempts; raises if waiting any longer makes no sense, for instance as the process ended.
        options: further arguments for aiokafka's client, such as credentials.

    Raises:
        BrokerError: it was not ready in time.
    """
    deadline = time.monotonic() + within
    # While the broker starts, aiokafka logs an error for every attempt.
    logger = logging.getLogger("aiokafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        while not await _is_ready(bootstrap, options or {}):
            check()
            if time.monotonic() > deadline:
                raise BrokerError(f"the broker at {bootstrap} was not ready within {within:.0f} s")
            await asyncio.sleep(POLL_SECONDS)
    finally:
        logger.setLevel(level)


async def _is_ready(bootstrap: str, options: Mapping[str, Any]) -> bool:
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=2_000, **options)
    try:
        await client.bootstrap()
        metadata = await client.fetch_all_metadata()
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await client.close()
    led = (metadata.available_partitions_for_topic(t) == metadata.partitions_for_topic(t) for t in metadata.topics())
    return bool(metadata.brokers()) and all(led)
