"""Bounds on connections that do nothing.

Over some no request is under way: new ones, half a head, and those kept for later. uvicorn counts them with the others
and has no deadline for a head. A few thousand of them, which cost a stranger nothing, would keep everybody else out.

Others do not take what they asked for. What they have not taken lies here, so it is little and not for long.
"""

import asyncio
import logging
from collections import OrderedDict
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from ostraka_issuer.limits import FEED_READER_PATIENCE, HTTP_HEAD_SECONDS, HTTP_UNSENT

from .gathered import Gathered

logger = logging.getLogger(__name__)


class WaitingRoom:
    """Holds so many; whoever comes then takes the place of the one that has waited longest, which is closed.

    Not the newest is turned away: an honest client's head is there within a round trip, a slow one's is not.

    Args:
        most: how many may wait.
        seconds: how long each may. What arrives meanwhile does not prolong it, as long as it is no whole head.
    """

    def __init__(self, most: int, seconds: float = HTTP_HEAD_SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        self._deadlines: OrderedDict[asyncio.Transport, asyncio.TimerHandle] = OrderedDict()

    def __len__(self) -> int:
        return len(self._deadlines)

    def enter(self, transport: asyncio.Transport) -> None:
        """Begin to wait, if it does not already."""
        if transport in self._deadlines:
            return
        if len(self._deadlines) >= self._most:
            self._close(next(iter(self._deadlines)))
        self._deadlines[transport] = asyncio.get_running_loop().call_later(self._seconds, self._close, transport)

    def leave(self, transport: asyncio.Transport) -> None:
        """Wait no more."""
        deadline = self._deadlines.pop(transport, None)
        if deadline is not None:
            deadline.cancel()

    def _close(self, transport: asyncio.Transport) -> None:
        self.leave(transport)
        transport.close()


class BoundedConfig(uvicorn.Config):
    """uvicorn's settings, the waiting room of all connections of the server, and how long each may not read."""

    def __init__(self, app: Any, *, room: WaitingRoom, patience: float = FEED_READER_PATIENCE, **settings: Any) -> None:
        super().__init__(app, http=BoundedProtocol, ws="none", **settings)
        self.room = room
        self.patience = patience


class BoundedProtocol(H11Protocol):
    """One connection. It waits whenever no request is under way, and is given up if it takes nothing."""

    config: BoundedConfig
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(Gathered(transport))
        transport.set_write_buffer_limits(HTTP_UNSENT)
        self._look()

    def pause_writing(self) -> None:
        """More is to be sent than its buffer may hold."""
        super().pause_writing()
        self._unread = asyncio.get_running_loop().call_later(self.config.patience, self._give_up)

    def resume_writing(self) -> None:
        """The client has taken most of it."""
        super().resume_writing()
        self._read()

    def data_received(self, data: bytes) -> None:
        """Part of a head or a body, or several requests."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """An answer is sent."""
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was closed."""
        super().connection_lost(exc)
        self.config.room.leave(self.transport)
        self._read()

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _give_up(self) -> None:
        # close() would wait until the buffer is empty, which is up to the client.
        logger.info("a client took nothing for %g s and is cut off", self.config.patience)
        self.transport.abort()

    def _look(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        under_way = cycle is not None and not cycle.response_complete
        if under_way or self.transport.is_closing():
            self.config.room.leave(self.transport)
        else:
            self.config.room.enter(self.transport)
