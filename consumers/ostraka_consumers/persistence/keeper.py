"""Keeps the copy: reads it back at start, and from then on writes down what takes effect, in a task of its own.

The event loop never waits for the disk: all of it is done by one thread, one thing after the other.
"""

import asyncio
import logging
import math
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from ostraka_consumers import limits
from ostraka_consumers.anchor import TrustAnchor
from ostraka_consumers.errors import ConfigurationError
from ostraka_consumers.sources.base import FeedSink
from ostraka_consumers.trust.freshness import newest
from ostraka_consumers.trust.receipt import Kind, Receipt, Taken
from ostraka_schemas.records import Position

from .replay import Extent, Replay
from .store import Reader, Store
from .worker import Worker

_log: Final = logging.getLogger("ostraka.verifier")
_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class StateStatus:
    """How the copy is.

    Attributes:
        directory: where it is.
        trouble: what failed last, until something succeeds; ``None`` if nothing did.
        kept: how far it leads; ``None`` if a start finds nothing in it but the position.
        reached: how far the feed was ever applied, as far as is known.
        waiting: how much waits for the disk.
        dropped: how much found no room while waiting. Until the next snapshot nothing is kept then.
        failures: how often the disk failed.
    """

    directory: str
    trouble: str | None
    kept: Position | None
    reached: Position | None
    waiting: int
    dropped: int
    failures: int

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON types."""
        return {
            "directory": self.directory,
            "trouble": self.trouble,
            "kept": None if self.kept is None else list(self.kept),
            "reached": None if self.reached is None else list(self.reached),
            "waiting": self.waiting,
            "dropped": self.dropped,
            "failures": self.failures,
        }


class Keeper:
    """The copy in one directory. ``open`` and ``close`` as often as one likes.

    Args:
        anchor: of the verifier.
        clock: seconds, monotonic.

    Raises:
        ConfigurationError: the directory's name is no path.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        anchor: TrustAnchor | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        try:
            self._store: Final = Store(Path(directory), anchor)
        except TypeError as error:
            raise ConfigurationError("the state directory is given as a path") from error
        self._clock: Final = clock
        self._thread: Worker | None = None
        self._task: asyncio.Task[None] | None = None
        self._queue: deque[Taken] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._reading = False
        self._reached: Position | None = None
        self._noted: Position | None = None
        self._noted_at = -math.inf
        self._trouble: str | None = None
        self._logged_at = -math.inf
        self._dropped = 0
        self._failures = 0

    # --- what took effect --------------------------------------------------------------------------------------------

    def offer(self, taken: Taken) -> None:
        """Take note of what took effect, to be written down soon. Never raises, never waits."""
        if self._reading:
            return  # it comes from there
        self._reached = newest(self._reached, taken.position)
        if taken.kind is Kind.SNAPSHOT:
            # It takes the place of all the records before it.
            self._queue = deque(item for item in self._queue if item.kind is Kind.ROOT)
            self._queued_bytes = sum(map(_size, self._queue))
        elif len(self._queue) >= limits.STATE_QUEUE_MAX or self._queued_bytes >= limits.STATE_QUEUE_BYTES:
            self._dropped += 1
            return
        self._queue.append(taken)
        self._queued_bytes += _size(taken)
        self._wake.set()

    @property
    def status(self) -> StateStatus:
        """How the copy is, at this moment."""
        return StateStatus(
            directory=str(self._store.directory),
            trouble=self._trouble,
            kept=self._store.tail,
            reached=self._reached,
            waiting=len(self._queue),
            dropped=self._dropped,
            failures=self._failures,
        )

    # --- start and stop ----------------------------------------------------------------------------------------------

    async def open(self, sink: FeedSink) -> Position | None:
        """Read the copy back into ``sink``, and begin to keep it. A disk that fails is as one that is empty.

        Returns:
            How far the feed was applied before, as far as is known.

        Raises:
            ConfigurationError: the directory can never be used as configured, or another verifier is using it.
        """
        if self._thread is not None:
            raise ConfigurationError("the verifier is running already")
        self._thread = Worker("ostraka state")
        self._wake = asyncio.Event()  # each life may have an event loop of its own
        try:
            await self._begin(sink)
        except TimeoutError as error:
            # What else would be asked for comes after what is not answered.
            self._failed(error)
            sink.report("cannot be read")
        except BaseException:
            await self.close()
            raise
        self._reached = newest(self._reached, self._noted, sink.position)
        self._task = asyncio.create_task(self._run(), name="ostraka state")
        return self._reached

    async def _begin(self, sink: FeedSink) -> None:
        await self._unless_it_fails(self._soon(self._store.open))
        sink.report("reading")
        self._noted = await self._unless_it_fails(self._soon(self._store.read_position))
        extent = await self._unless_it_fails(self._read_back(sink))
        if extent is None:
            sink.report("cannot be read")
        else:
            sink.report(f"read, up to {extent.tail}" if extent.tail else "read: no records")

    async def _unless_it_fails(self, work: Awaitable[_T]) -> _T | None:
        """What comes of it; ``None`` if the disk fails.

        Raises:
            TimeoutError: the disk does not answer.
        """
        try:
            return await work
        except TimeoutError:
            raise
        except OSError as error:
            self._failed(error)
            return None

    async def _read_back(self, sink: FeedSink) -> Extent:
        def deliver(raw: bytes) -> Receipt:
            self._reading = True
            try:
                return sink.deliver(raw)
            finally:
                self._reading = False

        roots = await self._soon(self._store.read_roots)
        snapshot, journal = self._store.read_snapshot(), self._store.read_journal()
        try:
            replay = Replay(deliver, lambda: sink.position, roots)
            extent = await replay.run(lambda: self._soon(snapshot.batch), lambda: self._soon(journal.batch))
        finally:
            self._close_later(snapshot, journal)
        await self._soon(self._store.go_on, *extent)
        return extent

    def _close_later(self, *readers: Reader) -> None:
        """Not at once: the thread may still be reading."""
        if self._thread is not None:
            for reader in readers:
                self._thread.submit(reader.close)

    async def close(self) -> None:
        """Write down what waits, within bounds, and let go of the directory. May be called twice."""
        task, self._task = self._task, None
        thread, self._thread = self._thread, None
        if task is not None:
            task.cancel()
        if thread is None:
            return
        # Before anything is awaited: the directory is let go of even if whoever closes is cancelled.
        batch = list(self._queue)
        last = asyncio.wrap_future(thread.submit(self._finish, batch, self._reached))
        thread.end()
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)
        # Not cancelled when the time is up: the lock is let go of even then, once the disk answers.
        done, _ = await asyncio.wait({last}, timeout=limits.STATE_ANSWER_MAX)
        if not done:
            self._failed(TimeoutError("the disk does not answer"))
        elif (error := last.exception()) is not None:
            self._failed(error)
        else:
            self._written(batch)

    def _finish(self, items: list[Taken], reached: Position | None) -> None:
        try:
            self._write(items)
            if reached is not None:
                self._store.note(reached)
        finally:
            self._store.close()

    # --- the task ----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        pause = limits.STATE_RETRY_MIN
        while True:
            await self._something()
            try:
                await self._keep()
            except Exception as error:  # noqa: BLE001 - whatever it is, decisions are made without a copy
                self._failed(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, limits.STATE_RETRY_MAX)
            else:
                self._trouble = None
                pause = limits.STATE_RETRY_MIN

    async def _something(self) -> None:
        """Wait until there is something to be written down."""
        if self._queue:
            return
        self._wake.clear()
        left = None if self._reached == self._noted else self._noted_at + limits.STATE_SYNC_EVERY - self._clock()
        try:
            async with asyncio.timeout(left):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _keep(self) -> None:
        batch = list(self._queue)
        await self._do(self._write, batch)
        self._written(batch)
        reached, now = self._reached, self._clock()
        if reached is not None and reached != self._noted and now - self._noted_at >= limits.STATE_SYNC_EVERY:
            await self._do(self._store.note, reached)
            self._noted, self._noted_at = reached, now

    def _written(self, batch: list[Taken]) -> None:
        for item in batch:
            # Those that a snapshot has taken the place of meanwhile are gone already.
            if self._queue and self._queue[0] is item:
                self._queue.popleft()
                self._queued_bytes -= _size(item)

    def _write(self, items: list[Taken]) -> None:
        self._store.open()
        self._store.keep(items)

    async def _do(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        if self._thread is None:
            raise OSError("the state directory is closed")
        return await asyncio.wrap_future(self._thread.submit(function, *args, **kwargs))

    async def _soon(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            async with asyncio.timeout(limits.STATE_ANSWER_MAX):
                return await self._do(function, *args, **kwargs)
        except TimeoutError as error:
            raise TimeoutError("the disk does not answer") from error

    def _failed(self, error: BaseException) -> None:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self._trouble = reason
        self._failures += 1
        now = self._clock()
        if now - self._logged_at > limits.STATE_LOG_EVERY:
            self._logged_at = now
            _log.error("the state directory %s fails, tokens are decided without it: %s", self._store.directory, reason)


def _size(item: Taken) -> int:
    # Snapshots are not counted: at most one waits.
    return 0 if item.kind is Kind.SNAPSHOT else sum(map(len, item.raws))
