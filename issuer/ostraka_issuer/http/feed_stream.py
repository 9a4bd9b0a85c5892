"""The feed as server-sent events: first what there is, then the newest heartbeat, then what comes."""

import asyncio
import logging
import re
from collections.abc import Coroutine, Iterable
from typing import Any, Final, NamedTuple

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from ostraka_issuer.errors import StoreUnavailable, TooManyReaders
from ostraka_issuer.feed.channel import Channel
from ostraka_issuer.limits import FEED_READER_PATIENCE, FEED_SLICE
from ostraka_schemas.records import Position

from .problems import of_error
from .seats import Seats

logger = logging.getLogger(__name__)

EVENT_STREAM: Final = "text/event-stream"
_NO_WEIGHT: Final = re.compile(r"q\s*=\s*0(\.0*)?$")
_HEADERS: Final = [
    (b"content-type", EVENT_STREAM.encode()),
    (b"cache-control", b"no-store"),
    # A proxy that collects an answer before it passes it on would hold back the news (nginx).
    (b"x-accel-buffering", b"no"),
]


def wants_stream(accepts: Iterable[str]) -> bool:
    """Whether the ``Accept`` headers name server-sent events, and not with a weight of nothing (RFC 9110 §12.5.1)."""
    for part in ",".join(accepts).split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name == EVENT_STREAM:
            return not any(_NO_WEIGHT.match(parameter) for parameter in parameters)
    return False


class _Slice(NamedTuple):
    """Events to be sent in one go, the place after them, and the newest heartbeat that was told."""

    body: bytes
    until: Position
    told: bytes


class EventStream(Response):
    """One reader of the feed, for as long as it reads.

    It is given a slice of what lies before it when it has taken the one before, and holds nothing else: a reader costs
    the same however far behind it is.

    It ends when the reader goes, when nothing is taken from it for ``patience`` seconds, when the database that it
    needs does not answer, or when the feed ends. The reader comes again and says where it was.

    Args:
        channel: the feed.
        place: where the reader is.
        seats: how many there may be.
        patience: seconds.
    """

    def __init__(
        self, channel: Channel, place: Position, seats: Seats, *, patience: float = FEED_READER_PATIENCE
    ) -> None:
        super().__init__()
        self._channel = channel
        self._place = place
        self._seats = seats
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the reader."""
        try:
            with self._seats.taken():
                # Not kept under a name, which would hold it as long as the reader stays.
                await _while_there(receive, self._stream(await self._next(self._place, b""), send))
        except (StoreUnavailable, TooManyReaders) as error:
            await of_error(error)(scope, receive, send)

    async def _stream(self, slice_: _Slice, send: Send) -> None:
        try:
            await self._give(send, {"type": "http.response.start", "status": 200, "headers": _HEADERS})
            while not self._channel.closed:
                if slice_.body:
                    await self._give(send, _body(slice_.body, more=True))
                    # A quick reader of a long backlog would never make this wait: others have a turn between slices.
                    await asyncio.sleep(0)
                else:
                    await self._channel.news.wait()
                slice_ = await self._next(slice_.until, slice_.told)
        except StoreUnavailable as error:
            logger.warning("a reader of the feed must come again: %s", error)
        await self._give(send, _body(b"", more=False))

    async def _next(self, place: Position, told: bytes) -> _Slice:
        """What is to be told after ``place`` and the heartbeat ``told``, perhaps nothing."""
        page = await self._channel.after(place, max_bytes=FEED_SLICE)
        frames = [entry.frame for entry in page.entries]
        beat = self._channel.beat_frame
        if page.complete and beat is not None and beat is not told:
            frames.append(beat)
            told = beat
        return _Slice(frames[0] if len(frames) == 1 else b"".join(frames), page.until, told)

    async def _give(self, send: Send, message: Message) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await send(message)
        except TimeoutError:
            logger.info("a reader of the feed took nothing for %g s and is dropped", self._patience)
            raise


def _body(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _while_there(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do ``work`` until it is done or the client has gone. That it was dropped is no error."""
    tasks = [asyncio.create_task(work), asyncio.create_task(_until_gone(receive))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        worked, _ = await asyncio.gather(*tasks, return_exceptions=True)
    if isinstance(worked, Exception) and not isinstance(worked, TimeoutError):
        raise worked


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
