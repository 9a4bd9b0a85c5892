"""Somebody who can write to the feed's topic, and fills it with rubbish. Runs in a process of its own."""

import asyncio
import base64
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

STEP = 0.01
IN_FLIGHT = 5_000
"""What has been sent and not acknowledged is bounded, or the flood would drown this process."""


async def flood(order: dict[str, Any]) -> int:
    """Send for so many seconds, at so many a second or as fast as it goes; returns how many it were."""
    samples = itertools.cycle([base64.b64decode(sample) for sample in order["samples"]])
    producer = AIOKafkaProducer(bootstrap_servers=order["kafka"], linger_ms=5)
    await producer.start()
    try:
        return await _send(producer, order, samples)
    finally:
        await producer.stop()


async def _send(producer: AIOKafkaProducer, order: dict[str, Any], samples: Iterator[bytes]) -> int:
    rate, begin, count = order["rate"], time.monotonic(), 0
    pending: list[asyncio.Future[Any]] = []
    while (passed := time.monotonic() - begin) < order["seconds"]:
        due = count + IN_FLIGHT if rate is None else int(rate * passed)
        while count < due:
            pending.append(await producer.send(order["topic"], next(samples), partition=0))
            count += 1
        if len(pending) >= IN_FLIGHT:
            await asyncio.gather(*pending)
            pending.clear()
        if rate is not None:
            await asyncio.sleep(STEP)
    await asyncio.gather(*pending)
    return count


def main(order: dict[str, Any]) -> None:
    """Flood, then write the count where it was told to."""
    Path(order["report"]).write_text(json.dumps(asyncio.run(flood(order))))
