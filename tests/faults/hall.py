"""Where the deciding verifiers report: a socket, and the history of each."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from ostraka_issuer.desk.ports import LOCALHOST
from tests.faults.history import Moment


@dataclass(eq=False)
class Seat:
    """One verifier: what it told so far, and the way to it once it has come."""

    history: list[Moment] = field(default_factory=list)
    writer: asyncio.StreamWriter | None = None

    @property
    def last(self) -> Moment | None:
        """What it told last."""
        return self.history[-1] if self.history else None

    def tell(self, tokens: Mapping[str, str]) -> None:
        """Give it tokens to ask about."""
        assert self.writer is not None, "this verifier has not come yet"
        for name, token in tokens.items():
            self.writer.write(json.dumps({name: token}).encode() + b"\n")


class Hall:
    """Listens. Use as an asynchronous context manager."""

    def __init__(self) -> None:
        self._seats: dict[str, Seat] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> "Hall":
        self._server = await asyncio.start_server(self._connected, LOCALHOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def seat(self, name: str) -> Seat:
        """Prepare a place for the verifier of that name, which no other has had."""
        assert name not in self._seats, f"there is a verifier {name} already"
        self._seats[name] = Seat()
        return self._seats[name]

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._listen(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            seat = self._seats[json.loads(await reader.readline())["name"]]
            seat.writer = writer
            while line := await reader.readline():
                if line.endswith(b"\n"):  # One that was cut off is of a verifier that was killed.
                    seat.history.append(Moment.read(json.loads(line)))
        except ConnectionError:
            return  # It was killed.
        finally:
            writer.transport.abort()
