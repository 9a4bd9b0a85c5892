"""Ctrl-C and SIGTERM end a stack in order."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

ENDING: Final = (signal.SIGINT, signal.SIGTERM)


class Ended(Exception):
    """Somebody asked us to end."""


async def until_signalled(work: Coroutine[Any, Any, T]) -> T:
    """Do ``work``; a first signal cancels it, and whatever it has to tidy up is done before this returns.

    Raises:
        Ended: a signal came.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    signalled = False

    def end() -> None:
        nonlocal signalled
        # Only the first one: tidying up takes seconds at most, and an impatient second Ctrl-C must not cut it short.
        if not signalled:
            signalled = True
            task.cancel()

    for number in ENDING:
        loop.add_signal_handler(number, end)
    try:
        return await task
    except asyncio.CancelledError:
        if signalled:
            raise Ended from None
        raise
    finally:
        for number in ENDING:
            loop.remove_signal_handler(number)
