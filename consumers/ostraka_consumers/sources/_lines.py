"""Lines out of chunks, from whoever sends them: no line is longer than it may be. Pure."""

from collections.abc import Iterator
from typing import Final


class TooLong(Exception):
    """A line, or a server-sent event, is longer than anything that is sent here."""


class Lines:
    """Cuts a stream of chunks into lines, ended by LF, CR or both together, as server-sent events have it.

    Args:
        most: bytes of the longest line, without its end. No more than this and one chunk is ever kept.
    """

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._begun: Final = bytearray()
        self._after_cr = False

    def take(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that end in this chunk, without their ends.

        Raises:
            TooLong: while iterating.
        """
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        for piece in chunk.splitlines(keepends=True):
            text = piece.rstrip(b"\r\n")
            self._begun.extend(text)
            if len(self._begun) > self._most:
                raise TooLong(f"a line of more than {self._most} bytes")
            if len(text) < len(piece):
                yield self._cut()

    def rest(self) -> bytes:
        """What came after the last end of a line, once nothing more comes."""
        return self._cut()

    def _cut(self) -> bytes:
        line = bytes(self._begun)
        self._begun.clear()
        return line
