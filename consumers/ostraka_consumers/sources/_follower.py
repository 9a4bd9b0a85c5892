"""One life of a connection to the issuer: root documents and a snapshot where they are needed, then follow the feed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from ostraka_consumers import limits
from ostraka_consumers.trust.receipt import Outcome
from ostraka_schemas.limits import (
    RECORD_MAX_BYTES,
    ROOT_VERSIONS_MAX,
    ROOT_WIRE_MAX_BYTES,
    SNAPSHOT_PART_MAX_BYTES,
    SNAPSHOT_PARTS_MAX,
)

from ._delivery import Delivery, Notes
from ._http_policy import HttpTiming, Look, Trouble, Watch
from ._lines import Lines, TooLong
from ._sse import EventReader
from ._web import Opened, Unavailable, Web
from .base import FeedSink

_JWS: Final = "application/secevent+jwt"
_LINES: Final = "text/plain"
_ROOT: Final = "application/jose+json"
_STREAM: Final = "text/event-stream"
_KINDS: Final = frozenset({"record", "heartbeat"})
_FLOOD: Final = Trouble("the server sends too much that is known or not to be believed")

logger = logging.getLogger("ostraka.sources.http")


class Follower:
    """Follows the feed until something is wrong.

    Args:
        notes: what the lives before have learned; written to.
    """

    def __init__(
        self, web: Web, sink: FeedSink, notes: Notes, *, timing: HttpTiming, clock: Callable[[], float]
    ) -> None:
        self._web: Final = web
        self._sink: Final = sink
        self._notes: Final = notes
        self._timing: Final = timing
        self._clock: Final = clock
        self._delivery: Final = Delivery(sink, notes, clock)

    async def run(self) -> Trouble:
        """Deliver until something is wrong, and say what.

        Raises:
            Unavailable: the server cannot be reached or does not answer as it should.
        """
        await self._prepare()
        following = self._stream if self._notes.streaming else self._poll
        trouble = await self._watched(following)
        self._notes.snapshot_due = self._notes.snapshot_due or trouble.snapshot
        return trouble

    async def _prepare(self) -> None:
        snapshot = self._sink.wants_snapshot or self._notes.snapshot_due
        if snapshot or self._notes.roots_wanted:
            await self._fetch_roots()
        if snapshot:
            await self._fetch_snapshot()
            self._notes.snapshot_due = False
        # Before the head is spoken of: a record that another source brings from now on must come from here, too.
        self._delivery.reached = self._sink.position
        await self._fetch_head()

    # --- what is fetched whole ---------------------------------------------------------------------------------------

    async def _fetch_roots(self) -> None:
        """Deliver the root documents after the one that is known, one by one, until there is none or one is refused.

        Before the first is known, those are passed over that the trust anchor does not lead to.
        """
        if self._clock() < self._notes.roots_from:
            return
        try:
            async with asyncio.timeout(self._timing.roots_max):
                version: int | None = self._sink.root_version + 1
                for _ in range(ROOT_VERSIONS_MAX):
                    if version is None:
                        break
                    version = await self._fetch_root(version)
        except TimeoutError:
            logger.debug("root documents came too slowly")
        self._notes.roots_wanted = False
        self._notes.roots_from = self._clock() + self._timing.roots_every

    async def _fetch_root(self, version: int) -> int | None:
        """Deliver one; returns the version to fetch next, or ``None``."""
        answer = await self._web.get(f"/feed/root/{version}", accept=_ROOT, most=ROOT_WIRE_MAX_BYTES)
        if answer.status != 200:
            return None
        await self._delivery.deliver(answer.body)
        known = self._sink.root_version
        if known == 0:
            return version + 1
        return known + 1 if known >= version else None

    async def _fetch_snapshot(self) -> None:
        """Deliver the newest snapshot. Without one the feed is read from where it is applied, so nothing here fails."""
        headers = {} if self._notes.etag is None else {"if-none-match": self._notes.etag}
        try:
            async with (
                asyncio.timeout(self._timing.snapshot_max),
                self._web.open("/feed/snapshot", accept=_LINES, headers=headers) as opened,
            ):
                if opened.status == 304:
                    return
                opened.expect(200, _LINES)
                most = SNAPSHOT_PARTS_MAX * SNAPSHOT_PART_MAX_BYTES
                if await _each_line(opened, SNAPSHOT_PART_MAX_BYTES, most, self._take_part):
                    self._notes.etag = opened.etag
        except (TimeoutError, Unavailable) as error:
            logger.debug("no snapshot: %s", error)

    async def _take_part(self, raw: bytes) -> bool:
        return (await self._delivery.deliver(raw)).outcome is not Outcome.REFUSED

    async def _fetch_head(self) -> None:
        answer = await self._web.get("/feed/head", accept=_JWS, most=RECORD_MAX_BYTES)
        if answer.status == 200:
            await self._delivery.deliver(answer.body)

    # --- what is followed --------------------------------------------------------------------------------------------

    async def _watched(self, following: Callable[[], Awaitable[Trouble]]) -> Trouble:
        tasks = asyncio.ensure_future(following()), asyncio.ensure_future(self._watch())
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return next(task for task in tasks if task in done).result()

    async def _watch(self) -> Trouble:
        watch = Watch(self._timing, self._notes.gaps, self._clock())
        while (trouble := watch.trouble(self._look())) is None:  # noqa: ASYNC110 - silence makes no event
            await asyncio.sleep(self._timing.check_every)
        return trouble

    def _look(self) -> Look:
        now = self._clock()
        return Look(
            now=now,
            silence=self._sink.silence(),
            incomplete=self._sink.incomplete,
            reached=self._delivery.reached,
            roots_due=self._notes.roots_wanted and now >= self._notes.roots_from,
        )

    def _events_path(self, **more: int) -> str:
        position = self._delivery.reached
        given = more if position is None else {"after": position, **more}
        return "/feed/events" + "".join(f"{'&' if n else '?'}{name}={given[name]}" for n, name in enumerate(given))

    async def _stream(self) -> Trouble:
        async with self._web.open(self._events_path(), accept=_STREAM) as opened:
            if opened.status == 406 or (opened.status == 200 and opened.kind == _LINES):
                self._notes.streaming = False
                return Trouble("the server does not stream; polling", at_once=True)
            opened.expect(200, _STREAM)
            self._sink.report("reading")
            self._delivery.brought = False
            try:
                return await self._read_stream(opened)
            except TooLong as error:
                raise Unavailable(f"the server sends {error}") from error
            finally:
                # Something on the way may hold streams back; then answers that end may pass.
                self._notes.streaming = self._delivery.brought

    async def _read_stream(self, opened: Opened) -> Trouble:
        events = EventReader()
        while (chunk := await opened.next()) is not None:
            for event in events.take(chunk):
                if not await self._delivery.take(event.data if event.kind in _KINDS else b""):
                    return _FLOOD
        return Trouble("the server ended the stream")

    async def _poll(self) -> Trouble:
        self._sink.report("reading, by polling")
        while True:
            began, before = self._clock(), self._delivery.reached
            try:
                if not await self._poll_once():
                    return _FLOOD
            except Unavailable:
                self._notes.streaming = True
                raise
            if self._delivery.reached == before:
                await asyncio.sleep(max(0.0, began + self._timing.poll_every - self._clock()))

    async def _poll_once(self) -> bool:
        wait = self._timing.poll_wait
        try:
            async with (
                asyncio.timeout(self._timing.poll_max),
                self._web.open(self._events_path(wait=wait), accept=_LINES, patience=wait) as opened,
            ):
                opened.expect(200, _LINES)
                return await _each_line(opened, RECORD_MAX_BYTES, limits.HTTP_POLL_BYTES, self._delivery.take)
        except TimeoutError as error:
            raise Unavailable("the server does not answer in time") from error


async def _each_line(opened: Opened, longest: int, most: int, take: Callable[[bytes], Awaitable[bool]]) -> bool:
    """Hand each line to ``take`` until it says stop, the body ends or ``most`` bytes were read. Whether all were taken.

    Raises:
        Unavailable: cut off, or a line is longer than the ``longest``.
    """
    lines, read = Lines(longest), 0
    try:
        while read < most and (chunk := await opened.next()) is not None:
            read += len(chunk)
            for line in lines.take(chunk):
                if not await take(line):
                    return False
    except TooLong as error:
        raise Unavailable(f"the server sends {error}") from error
    rest = lines.rest() if read < most else b""
    return not rest or await take(rest)
