"""The feed as server-sent events: first what there is, then the newest heartbeat, then what comes."""

import asyncio
import logging
import re
from collections.abc import Coroutine, Iterable
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from ostraka_issuer.errors import StoreUnavailable, TooManyReaders
from ostraka_issuer.feed.channel import Channel, Page
from ostraka_issuer.limits import FEED_READER_PATIENCE
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


class EventStream(Response):
    """One reader of the feed, for as long as it reads.

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
                page = await self._channel.after(self._place)
                await _while_there(receive, self._stream(page, send))
        except (StoreUnavailable, TooManyReaders) as error:
            await of_error(error)(scope, receive, send)

    async def _stream(self, page: Page, send: Send) -> None:
        told = b""
        try:
            await self._give(send, {"type": "http.response.start", "status": 200, "headers": _HEADERS})
            while not self._channel.closed:
                frames, beat = self._frames(page, told)
                told = beat or told
                if frames:
                    await self._give(send, _body(frames[0] if len(frames) == 1 else b"".join(frames), more=True))
                elif page.complete:
                    await self._channel.news.wait()
                page = await self._channel.after(page.until)
        except StoreUnavailable as error:
            logger.warning("a reader of the feed must come again: %s", error)
        await self._give(send, _body(b"", more=False))

    def _frames(self, page: Page, told: bytes) -> tuple[list[bytes], bytes | None]:
        frames = [entry.frame for entry in page.entries]
        beat = self._channel.beat_frame
        if not page.complete or beat is None or beat is told:
            return frames, None
        return [*frames, beat], beat

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
