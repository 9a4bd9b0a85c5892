"""Waiting for a condition, with a deadline and the reason if it was in vain."""

import asyncio
import time
from collections.abc import Callable

LOOK_EVERY = 0.02


async def until(condition: Callable[[], bool], what: Callable[[], str], within: float = 30.0) -> float:
    """Wait until it holds; returns after how many seconds it did. Fails with ``what()``."""
    begin = time.monotonic()
    while not condition():
        waited = time.monotonic() - begin
        assert waited < within, f"not within {within:.0f} s: {what()}"
        await asyncio.sleep(LOOK_EVERY)
    return time.monotonic() - begin
