"""Cancellations: whose one is, and work that none must cut in half."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


def is_cancelled() -> bool:
    """Whether the CancelledError at hand is meant for the current task; what it awaits may have raised its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def uninterrupted(work: Awaitable[T]) -> T:
    """Await ``work`` to its end. A cancellation that comes meanwhile is raised after it.

    For transactions: whether one that was cut was committed cannot be told, and the driver's thread would be left to
    answer an event loop that may be closed by then. Only for work that ends by itself, soon.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # Seen, though nobody will hear of it.
    raise cancelled
