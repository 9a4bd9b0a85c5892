"""Requests that are under way when the process ends: those that are not done in time are told so, in order.

The server would cut them off, which is a bare 500 for the caller and a traceback for the operator.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ostraka_issuer.errors import Ending

from .problems import of_error


class UnderWay:
    """The requests that have no answer yet."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._over = False

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self._tasks)

    @property
    def over(self) -> bool:
        """Whether there is no more time."""
        return self._over

    def end(self) -> None:
        """There is no more time: cancel what is under way."""
        self._over = True
        for task in self._tasks:
            task.cancel()

    @contextmanager
    def entered(self, task: "asyncio.Task[object]") -> Iterator[None]:
        """``task`` works on a request while the block runs."""
        self._tasks.add(task)
        try:
            yield
        finally:
            self._tasks.discard(task)


class InTime:
    """ASGI middleware: answers 503 with ``Retry-After`` to what is cancelled because the process ends.

    What a request had committed by then stays committed. An answer that had begun is cut off.
    """

    def __init__(self, app: ASGIApp, under_way: UnderWay) -> None:
        self._app = app
        self._under_way = under_way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return
        answered = False

        async def noted(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            with self._under_way.entered(task):
                await self._app(scope, receive, noted)
        except asyncio.CancelledError:
            if answered or not self._under_way.over:
                raise
            task.uncancel()
            error = Ending("the issuer is ending and had no time left for this; ask again")
            await of_error(error)(scope, receive, send)
