"""Whether this process writes the feed or stands by, in turns, as it has the lease or not."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from ..errors import LeaseLost, StoreUnavailable
from ..limits import LEASE_TRY
from .observer import Observer
from .tenure import Fence, Tenure
from .writer import Writer

logger = logging.getLogger(__name__)


class Turns:
    """Asks for the lease, and writes while this process has it; follows the database otherwise.

    Args:
        tenure: this process's part in the lease.
        observer: follows the database.
        new_writer: makes what writes; ``None`` if this process never does.

    Attributes:
        writer: what writes the feed, while this process does.
    """

    def __init__(self, tenure: Tenure, observer: Observer, new_writer: Callable[[Fence], Writer] | None) -> None:
        self._tenure = tenure
        self._observer = observer
        self._new_writer = new_writer
        self.writer: Writer | None = None

    async def begin(self) -> None:
        """Take the lease if it is free and wanted.

        Raises:
            FeedError: what waits cannot be put into the feed.
            StoreUnavailable: the database does not answer.
        """
        if self._new_writer is not None:
            self.writer = await self._take(self._new_writer)

    async def run(self) -> None:
        """Take turns until cancelled.

        Raises:
            ExceptionGroup, OstrakaError: what ended it, which is not the loss of the lease.
        """
        if self._new_writer is None:
            await self._observer.run()
            return
        while True:
            if self.writer is None:
                # Until the lease is taken, and everything before it is shown.
                self.writer = await _beside(self._observer.run(), self._wait_for_lease(self._new_writer))
            await self._write(self.writer)

    async def end(self, writer: Writer | None) -> None:
        """Give back what ``writer`` had, once nothing runs any more."""
        self.writer = None
        if writer is not None:
            await writer.close()
            await self._tenure.release(writer.fence)

    def wake(self) -> None:
        """Say that something was committed."""
        if self.writer is not None:
            self.writer.sequencer.wake()
        else:
            self._observer.wake()

    def ask_beat(self) -> None:
        """Somebody is without news: a new heartbeat is made, or the newest told again."""
        if self.writer is not None:
            self.writer.heart.beat_now()
        else:
            self._observer.tell_again()

    async def _wait_for_lease(self, new_writer: Callable[[Fence], Writer]) -> Writer:
        while True:
            await self._until_it_may_be_free()
            try:
                writer = await self._take(new_writer)
            except (StoreUnavailable, LeaseLost) as error:
                logger.warning("the feed cannot be taken over: %s", error)
                continue
            if writer is not None:
                return writer

    async def _until_it_may_be_free(self) -> None:
        """It is looked at now and then; that it was given back, or is over, may be seen sooner."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEASE_TRY):
                await self._observer.lease_is_free.wait()
        self._observer.lease_is_free.clear()

    async def _take(self, new_writer: Callable[[Fence], Writer]) -> Writer | None:
        fence = await self._tenure.take()
        if fence is None:
            return None
        logger.info("this process writes the feed: %s, fence %d", fence.lease.holder, fence.lease.fence)
        try:
            # Nobody else places records now: what is seen here is all there is.
            await self._observer.catch_up()
            writer = new_writer(fence)
            await writer.prepare()
        except BaseException:
            await self._tenure.release(fence)
            raise
        return writer

    async def _write(self, writer: Writer) -> None:
        """Write until the lease is lost."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(writer.run(), name="ostraka-writer")
                tasks.create_task(self._tenure.keep(writer.fence), name="ostraka-lease")
        except* LeaseLost:
            logger.warning("another process writes the feed now; this one stands by")
        self.writer = None


async def _beside(endless: Coroutine[Any, Any, None], work: Coroutine[Any, Any, Writer]) -> Writer:
    """Run ``endless`` until ``work`` is done, and return what it returned. An error of either ends both."""
    tasks = asyncio.create_task(endless), asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await task
        return await tasks[1]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
