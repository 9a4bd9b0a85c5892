"""Readers that ask the database for the same page at the same time are given the same answer."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ostraka_schemas.records import Position

from ..limits import FEED_READ_PAGE, FEED_READS
from .frames import Entry

Read = Callable[[Position, int], Awaitable[Sequence[Entry]]]


class SharedRead:
    """One question to the database for all who ask it while it is being answered, and few questions at once.

    Args:
        read: gives the records after a position, at most so many.
        page: records a question asks for.
        at_once: questions under way; the rest of the issuer needs the database too.
    """

    def __init__(self, read: Read, *, page: int = FEED_READ_PAGE, at_once: int = FEED_READS) -> None:
        self._read: Final = read
        self._page: Final = page
        self._turns: Final = asyncio.Semaphore(at_once)
        self._asked: Final[dict[Position, asyncio.Future[Sequence[Entry]]]] = {}

    async def after(self, place: Position) -> Sequence[Entry]:
        """The next page after ``place``.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        while (asked := self._asked.get(place)) is not None:
            await asyncio.wait({asked})
            if not asked.cancelled():
                return asked.result()
            # Whoever asked has gone: somebody else asks.
        answer = self._asked[place] = asyncio.get_running_loop().create_future()
        try:
            async with self._turns:
                found = await self._read(place, self._page)
        except BaseException as error:
            self._fail(answer, error)
            raise
        finally:
            del self._asked[place]
        answer.set_result(found)
        return found

    @staticmethod
    def _fail(answer: "asyncio.Future[Sequence[Entry]]", error: BaseException) -> None:
        if not isinstance(error, Exception):
            answer.cancel()
            return
        answer.set_exception(error)
        answer.exception()  # Seen, though perhaps nobody else asked.
