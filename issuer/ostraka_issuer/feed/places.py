"""Requests that wait to hear where their intent stands in the feed."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from ostraka_schemas.records import Position

from ..errors import IntentSetAside
from ..limits import FEED_LOOK, FEED_WAITERS
from .log import FeedLog, StoredRecord

_Answer = Position | IntentSetAside


class Places:
    """Tells places as they are given, without asking again and again.

    Args:
        log: knows the places of before.
        most: requests that may wait at once, and answers remembered.
    """

    def __init__(self, log: FeedLog, *, most: int = FEED_WAITERS) -> None:
        self._log = log
        self._most = most
        self._waiting: dict[str, set[asyncio.Future[_Answer]]] = {}
        self._count = 0
        self._recent: OrderedDict[str, _Answer] = OrderedDict()

    def tell(self, records: Sequence[StoredRecord]) -> None:
        """These records were stored."""
        for record in records:
            self._answer(record.txn, record.position)

    def refuse(self, txn: str, reason: str) -> None:
        """The intent of ``txn`` will get no place."""
        self._answer(txn, IntentSetAside(f"the change {txn} is committed, but cannot be put into the feed: {reason}"))

    def end(self, error: Exception) -> None:
        """No more places will be given: whoever waits gets ``error``."""
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    future.set_exception(error)

    async def find(self, txn: str, timeout: float) -> Position | None:
        """The place of the intent of ``txn``, or ``None`` if it has none within ``timeout`` seconds or too many wait.

        Raises:
            IntentSetAside: it will get none.
            StoreUnavailable: the database does not answer.
        """
        known = self._recent.get(txn)
        if known is not None:
            return _said(known)
        if self._count >= self._most:
            return None
        future: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(txn, set()).add(future)
        self._count += 1
        try:
            # Listening first, looking second: nothing can slip in between. Most are told before it is worth looking.
            answer = await _wait(future, min(timeout, FEED_LOOK))
            if answer is None:
                answer = await self._log.position_of(txn) or await _wait(future, timeout - FEED_LOOK)
            return None if answer is None else _said(answer)
        finally:
            self._forget(txn, future)

    def _forget(self, txn: str, future: "asyncio.Future[_Answer]") -> None:
        self._count -= 1
        futures = self._waiting[txn]
        futures.discard(future)
        if not futures:
            del self._waiting[txn]
        if future.done() and not future.cancelled():
            future.exception()  # Somebody has seen it, even if nobody waits any more.

    def _answer(self, txn: str, answer: _Answer) -> None:
        self._recent[txn] = answer
        if len(self._recent) > self._most:
            self._recent.popitem(last=False)
        for future in self._waiting.get(txn, ()):
            if not future.done():
                future.set_result(answer)


async def _wait(future: "asyncio.Future[_Answer]", timeout: float) -> _Answer | None:
    await asyncio.wait({future}, timeout=max(timeout, 0))
    return future.result() if future.done() else None


def _said(answer: _Answer) -> Position:
    if isinstance(answer, IntentSetAside):
        raise answer
    return answer
