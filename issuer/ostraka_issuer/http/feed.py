"""The second channel: the feed over HTTP, the same signed bytes as on Kafka. No login: nothing in it is secret."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.exceptions import HTTPException

from ostraka_issuer.errors import NothingYet
from ostraka_issuer.feed.channel import Channel, Page
from ostraka_issuer.feed.frames import START
from ostraka_issuer.limits import FEED_WAIT_MAX
from ostraka_schemas.limits import SEQ_MAX
from ostraka_schemas.records import Position

from .context import TheIssuer
from .feed_answers import Answers
from .feed_stream import EVENT_STREAM, EventStream, wants_stream

router = APIRouter(prefix="/feed")

_PLACE: Final = r"^[0-9]{1,16}:[0-9]{1,16}$"
_NO_STORE: Final = {"Cache-Control": "no-store"}
_SIGNED: Final = {"content-type": "application/secevent+jwt"}
_LINES: Final = {"content-type": "text/plain"}


@router.get("/head", summary="The newest heartbeat", response_class=Response)
async def head(issuer: TheIssuer) -> Response:
    """Says, signed, where the feed ended at a moment. 503 before the first one."""
    beat = issuer.feed.channel.beat
    if beat is None:
        raise NothingYet("there is no heartbeat yet")
    return Response(beat.raw, headers={**_SIGNED, **_NO_STORE})


@router.get(
    "/events",
    summary="Records after a place",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}, EVENT_STREAM: {}}}},
)
async def events(
    request: Request,
    issuer: TheIssuer,
    after: Annotated[str, Query(pattern=_PLACE, description="EPOCH:SEQ; left out: from the first record")] = "0:0",
    wait: Annotated[float, Query(ge=0, le=FEED_WAIT_MAX, description="seconds to wait for the next record")] = 0.0,
    last_event_id: Annotated[str, Header(pattern=_PLACE, description="goes before `after`")] = "",
) -> Response:
    """Records in order, one a line, and at the end of the feed the newest heartbeat.

    With `Accept: text/event-stream`, both as events, first what there is and then what comes.
    """
    channel, readers = issuer.feed.channel, request.app.state.readers
    place = _position(last_event_id or after)
    if wants_stream(request.headers.getlist("accept")):
        return EventStream(channel, place, readers)
    with readers.taken():
        page = await _page(channel, place, wait)
    answers: Answers = request.app.state.answers
    return Response(answers.text(place, page, channel.beat), headers={**_LINES, **_NO_STORE})


def _position(text: str) -> Position:
    epoch, _, seq = text.partition(":")
    position = Position(int(epoch), int(seq))
    if max(position) > SEQ_MAX:
        raise HTTPException(400)
    return max(position, START)


async def _page(channel: Channel, place: Position, wait: float) -> Page:
    try:
        async with asyncio.timeout(wait):
            while not channel.has_after(place) and not channel.closed:
                await channel.new_record.wait()
    except TimeoutError:
        pass
    return await channel.after(place)
