"""Who wants to know what was applied: bounded queues, so that a slow watcher delays nobody."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from weakref import WeakSet

from ostraka_schemas.records import Position, Record

from .limits import CHANGES_QUEUE_MAX


class Missed(Exception):
    """A watcher was so slow that records were dropped for it, or a snapshot took the place of some."""


class Watchers:
    """Hands applied records on, and wakes those who wait for a position."""

    def __init__(self) -> None:
        # A queue is its reader's: it goes when the reader does, even one that never read.
        self._queues: WeakSet[_Queue] = WeakSet()
        self._waiting: list[tuple[Position, asyncio.Future[None]]] = []

    def publish(self, records: Iterable[Record], head: Position | None) -> None:
        """Tell everyone. Never blocks."""
        for queue in self._queues:
            queue.put(records)
        if self._waiting:
            self._wake(head)

    def skip(self) -> None:
        """Tell those who read records that some will not come."""
        for queue in self._queues:
            queue.skip()

    def changes(self) -> AsyncIterator[Record]:
        """The records applied from now on, in feed order. Ends when its reader stops.

        Raises:
            Missed: the reader was more than ``CHANGES_QUEUE_MAX`` records behind, or a snapshot took their place.
        """
        queue = _Queue()
        self._queues.add(queue)
        return queue.read()

    async def wait_for(self, position: Position, timeout: float) -> bool:
        """Wait until ``position`` is applied, at most ``timeout`` seconds. Whether it was."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (position, future)
        self._waiting.append(entry)
        try:
            await asyncio.wait_for(future, timeout)
        except TimeoutError:
            return False
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)
        return True

    def _wake(self, head: Position | None) -> None:
        for position, future in self._waiting:
            if head is not None and head >= position and not future.done():
                future.set_result(None)


class _Queue:
    def __init__(self) -> None:
        self._records: deque[Record] = deque()
        self._filled = asyncio.Event()
        self._missed: str | None = None

    def put(self, records: Iterable[Record]) -> None:
        for record in records:
            if len(self._records) >= CHANGES_QUEUE_MAX:
                self._missed = f"more than {CHANGES_QUEUE_MAX} records behind"
            if self._missed is not None:
                break
            self._records.append(record)
        self._filled.set()

    def skip(self) -> None:
        self._missed = self._missed or "a snapshot took the place of records"
        self._filled.set()

    async def read(self) -> AsyncIterator[Record]:
        while True:
            yield await self.get()

    async def get(self) -> Record:
        while not self._records:
            if self._missed is not None:
                raise Missed(self._missed)
            self._filled.clear()
            await self._filled.wait()
        return self._records.popleft()
