"""The records since the beginning of an epoch, or since a snapshot, each appended as it took effect."""

import os
from pathlib import Path
from typing import Final

from ostraka_consumers.limits import STATE_JOURNAL_BYTES, STATE_JOURNAL_RECORDS

from . import files, frames


class Journal:
    """An append-only file.

    Attributes:
        length: bytes that are good; what lies beyond is overwritten. 0: the file is to be begun anew.
        count: frames in them.
    """

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._descriptor: int | None = None
        self._is_torn = True
        self.length = 0
        self.count = 0

    @property
    def is_full(self) -> bool:
        """Whether nothing more is to be appended."""
        return self.count >= STATE_JOURNAL_RECORDS or self.length >= STATE_JOURNAL_BYTES

    def go_on(self, length: int, count: int) -> None:
        """Append after what was found good; after nothing, to begin anew. Takes effect with the next ``append``."""
        self.close()
        self.length, self.count = length, count

    def append(self, payload: bytes) -> None:
        """Write one frame.

        Raises:
            OSError: it is not there; the next ``append`` takes its place.
        """
        descriptor = self._opened()
        if self._is_torn:
            os.ftruncate(descriptor, self.length)
            os.lseek(descriptor, self.length, os.SEEK_SET)
        self._is_torn = True
        data = frames.frame(payload)
        files.write_all(descriptor, data)
        self._is_torn = False
        self.length += len(data)
        self.count += 1

    def _opened(self) -> int:
        if self.length == 0:
            self.close()
            files.replace(self._path, [frames.JOURNAL])
            self.length = len(frames.JOURNAL)
        if self._descriptor is None:
            self._descriptor = files.open_to_write(self._path)
        return self._descriptor

    def sync(self) -> None:
        """Make durable what was appended.

        Raises:
            OSError
        """
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def remove(self) -> None:
        """Begin anew, and leave nothing behind.

        Raises:
            OSError
        """
        self.go_on(0, 0)
        files.remove(self._path)

    def close(self) -> None:
        """Let go of the file."""
        descriptor, self._descriptor = self._descriptor, None
        self._is_torn = True
        if descriptor is not None:
            os.close(descriptor)
