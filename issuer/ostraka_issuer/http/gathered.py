"""The head of an answer and its body in one packet: sending is the dearest thing that a small answer costs.

uvicorn writes each by itself, and a socket that is free sends at once.
"""

import asyncio
from typing import Any


class Gathered(asyncio.Transport):
    """A transport that keeps what is written until more is, or until the event loop has been round once.

    So one piece at most is kept, and not for longer than it takes to write the next.

    Args:
        transport: the one that sends.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._kept: bytes | None = None
        self._loop = asyncio.get_running_loop()

    def write(self, data: Any) -> None:
        """Send, soon."""
        if self._kept is None:
            self._kept = bytes(data)
            self._loop.call_soon(self._flush)
        else:
            data, self._kept = self._kept + data, None
            self._transport.write(data)

    def _flush(self) -> None:
        if self._kept is not None:
            data, self._kept = self._kept, None
            self._transport.write(data)

    def close(self) -> None:
        """Close when everything is sent."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._kept = None
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._transport.is_closing()

    def get_write_buffer_size(self) -> int:
        """Bytes that are not sent yet."""
        return len(self._kept or b"") + self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the other one says."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Take nothing for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take again."""
        self._transport.resume_reading()
