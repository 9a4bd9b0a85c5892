"""The server around the application: thousands of connections, and an orderly end of those that would last for ever."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from ostraka_issuer.limits import (
    HTTP_ACCEPTED_AT_ONCE,
    HTTP_CONNECTIONS_MAX,
    HTTP_GRACE,
    HTTP_HEAD_MAX_BYTES,
    HTTP_KEEP_ALIVE,
    HTTP_PARTING,
    HTTP_QUEUE,
    HTTP_UNREAD,
    HTTP_WAITING_MAX,
)

from .under_way import UnderWay
from .waiting import BoundedConfig, WaitingRoom

if sys.platform != "win32":
    import resource


class Server(uvicorn.Server):
    """Serves ``app``, whose lifespan is the caller's business.

    Args:
        app: if it says what is under way (``app.state.under_way``), that is told before it is cut off.
        ending: called before it waits for the requests that are under way, so that those that wait for news end.
        grace: seconds that they are given, the last ``parting`` of them for their answers.
    """

    def __init__(
        self, app: FastAPI, ending: Callable[[], None], *, grace: float = HTTP_GRACE, parting: float = HTTP_PARTING
    ) -> None:
        allowed = connections_allowed()
        super().__init__(
            BoundedConfig(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                # Whose word about addresses counts is said by the settings, and nobody's by default.
                proxy_headers=False,
                limit_concurrency=allowed,
                backlog=HTTP_ACCEPTED_AT_ONCE,
                timeout_keep_alive=HTTP_KEEP_ALIVE,
                timeout_graceful_shutdown=grace,
                room=WaitingRoom(min(HTTP_WAITING_MAX, allowed // 8)),
                h11_max_incomplete_event_size=HTTP_HEAD_MAX_BYTES,
            )
        )
        self._ending = ending
        self._under_way: UnderWay = getattr(app.state, "under_way", UnderWay())
        self._patience = grace - parting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin."""
        await super().startup(sockets)
        # asyncio takes as many connections in one turn as may queue. A crowd may queue, but is let in group by group:
        # what came first is read before the waiting room is full of what came later.
        for listener in sockets or []:
            listener.listen(HTTP_QUEUE)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: new connections are refused, and requests under way are finished or answered 503 within the grace."""
        self._ending()
        last_call = asyncio.get_running_loop().call_later(self._patience, self._under_way.end)
        try:
            await super().shutdown(sockets)
        finally:
            last_call.cancel()


def end_in_order(server: Server) -> None:
    """Let SIGINT and SIGTERM end ``server``, and nothing else of the process.

    While it serves, the server handles these signals; afterwards it raises them anew, and there is more to close.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def connections_allowed() -> int:
    """How many connections this process can bear, after it was allowed all the files that it can be."""
    if sys.platform == "win32":
        return HTTP_CONNECTIONS_MAX
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * HTTP_CONNECTIONS_MAX
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    # The other half is for the database, Kafka and connections that are just being refused.
    return HTTP_CONNECTIONS_MAX if soft == resource.RLIM_INFINITY else min(HTTP_CONNECTIONS_MAX, soft // 2)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError."""
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    # Connections inherit what follows. asyncio does this only for sockets that name their protocol. Without it the body
    # of an answer, sent after its head, waits some 40 ms for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Nobody else can end one whose other side is there and takes nothing.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, HTTP_UNREAD * 1000)
    return listener
