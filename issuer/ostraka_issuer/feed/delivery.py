"""What was sent and waits for its acknowledgement, in the order it was sent."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from aiokafka.errors import KafkaTimeoutError

from ostraka_schemas.records import Head, Position

from ..failpoints import hit
from ..limits import FEED_IN_FLIGHT, FEED_SEND
from .log import StoredRecord
from .selfcheck import Landmark


class TopicLost(Exception):
    """The topic is not the one that was written to before: its offsets went back. Never leaves the publisher."""


class _Sent(NamedTuple):
    future: "asyncio.Future[Any]"
    record: StoredRecord | None
    at: float


class Deliveries:
    """Records and heartbeats in flight on one producer.

    Args:
        end: the offset that the first of them must get, or a higher one.
        acknowledged: called with each record's position, in feed order.
        most: in flight at once; ``add`` waits beyond that.
        patience: seconds an acknowledgement may take.
    """

    def __init__(
        self,
        end: int,
        acknowledged: Callable[[Position], None],
        *,
        most: int = FEED_IN_FLIGHT,
        patience: float = FEED_SEND,
    ) -> None:
        self._next = end
        self._acknowledged = acknowledged
        self._patience = patience
        self._queue: asyncio.Queue[_Sent] = asyncio.Queue(maxsize=most)
        self._oldest: _Sent | None = None
        self.landmark: Landmark | None = None

    @property
    def waiting_since(self) -> float | None:
        """Since when, on the event loop's clock, the oldest acknowledgement is waited for."""
        return None if self._oldest is None else self._oldest.at

    async def add(self, future: "asyncio.Future[Any]", record: StoredRecord | None) -> None:
        """Take over what the producer returned for a record, or for a heartbeat (``None``)."""
        # Whatever becomes of the connection, nobody may be left with an error that was never looked at.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        await self._queue.put(_Sent(future, record, asyncio.get_running_loop().time()))

    async def settle(self) -> None:
        """Take acknowledgements as they come, until cancelled.

        Raises:
            TopicLost: an offset went back, or was not higher than the one before.
            KafkaError: something was refused, or its acknowledgement did not come in time.
        """
        while True:
            self._oldest = sent = await self._queue.get()
            offset = await self._offset(sent)
            self._oldest = None
            # -1: the broker knows that it has it, but no longer where.
            if offset >= 0:
                if offset < self._next:
                    raise TopicLost(f"offset {offset} was given after {self._next - 1}")
                self._next = offset + 1
            if sent.record is not None:
                hit("publish.after_send")
                self._note(sent.record, offset)

    def _note(self, record: StoredRecord, offset: int) -> None:
        if offset >= 0:
            self.landmark = Landmark(offset, Head(record.position, record.hash))
        self._acknowledged(record.position)

    async def _offset(self, sent: _Sent) -> int:
        if not sent.future.done():
            # Not a deadline on the future itself: cancelling it would not take back what was sent.
            left = sent.at + self._patience - asyncio.get_running_loop().time()
            await asyncio.wait({sent.future}, timeout=max(left, 0))
            if not sent.future.done():
                raise KafkaTimeoutError(f"no acknowledgement within {self._patience:.0f} s")
        offset: int = sent.future.result().offset
        return offset
