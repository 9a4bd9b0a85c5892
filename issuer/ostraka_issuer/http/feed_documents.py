"""What a newcomer to the feed needs: root documents and a snapshot. Public like the rest of it."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Header, Path, Request, Response
from starlette.types import Receive, Scope, Send

from ostraka_issuer.errors import NotFound, NothingYet, TooManyReaders
from ostraka_issuer.feed.snapshot import Snapshot
from ostraka_issuer.limits import FEED_READER_PATIENCE, SNAPSHOT_SECONDS, SNAPSHOT_SLICE
from ostraka_schemas.limits import SEQ_MAX
from ostraka_schemas.root import read_root_bytes, read_root_unverified

from .context import TheIssuer
from .problems import of_error
from .seats import Seats

router = APIRouter(prefix="/feed")

_ROOT: Final = {"content-type": "application/jose+json", "cache-control": "public, max-age=86400, immutable"}


@router.get(
    "/snapshot",
    summary="The whole state at a head",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, 304: {"description": "It is still the same"}},
)
async def snapshot(
    request: Request, issuer: TheIssuer, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """A signed snapshot, one part a line. 503 before the first one."""
    newest = issuer.snapshots.newest
    if newest is None:
        raise NothingYet("there is no snapshot yet")
    headers = {"etag": newest.etag, "cache-control": "no-cache"}
    if if_none_match is not None and _names(if_none_match, newest.etag):
        return Response(status_code=304, headers=headers)
    return _answer(newest, headers | {"content-type": "text/plain"}, request.app.state.snapshot_readers)


@router.get("/root/{version}", summary="A root document", response_class=Response)
async def root(issuer: TheIssuer, version: Annotated[int, Path(ge=1, le=SEQ_MAX)]) -> Response:
    """One version, with its signatures, exactly as it was signed. 404 if the feed has none of that version."""
    signed = await issuer.feed.signed_roots()
    # Versions follow one another, so the first tells where the others stand.
    index = version - _version(signed[0]) if signed else -1
    if not 0 <= index < len(signed):
        raise NotFound("the feed has no root document of that version")
    return Response(signed[index], headers=_ROOT)


def _version(raw: bytes) -> int:
    return read_root_unverified(read_root_bytes(raw)).version


def _names(if_none_match: str, etag: str) -> bool:
    """Whether an ``If-None-Match`` field names ``etag``, by weak comparison (RFC 9110 §13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]


def _answer(newest: Snapshot, headers: dict[str, str], seats: Seats) -> Response:
    if len(newest.body) <= SNAPSHOT_SLICE:
        return Response(newest.body, headers=headers)
    return LargeAnswer(newest.body, headers, seats)


class LargeAnswer(Response):
    """A body that is never copied whole: a connection gets a slice of it when it has taken the one before.

    Args:
        seats: how many are served at once.
        patience: seconds in which a client must take a slice.
        seconds: in which it must have taken everything.
    """

    def __init__(
        self,
        body: bytes,
        headers: dict[str, str],
        seats: Seats,
        *,
        patience: float = FEED_READER_PATIENCE,
        seconds: float = SNAPSHOT_SECONDS,
    ) -> None:
        super().__init__(headers={**headers, "content-length": str(len(body))})
        self._whole = body
        self._seats = seats
        self._patience = patience
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. A client that is too slow is left without the rest: it sees that by the length."""
        try:
            with self._seats.taken():
                await self._send(send)
        except TooManyReaders as error:
            await of_error(error)(scope, receive, send)
        except TimeoutError:
            return

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with asyncio.timeout(self._seconds):
            for begin in range(0, len(self._whole), SNAPSHOT_SLICE):
                end = begin + SNAPSHOT_SLICE
                body, more = self._whole[begin:end], end < len(self._whole)
                async with asyncio.timeout(self._patience):
                    await send({"type": "http.response.body", "body": body, "more_body": more})
