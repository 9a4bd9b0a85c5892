"""A clock that is wrong, by as much as a file says at this moment: for processes whose clocks a test sets.

Only the wall clock can be set; the monotonic one is nobody's to set.
"""

import mmap
import struct
import time
from pathlib import Path

from ostraka_consumers.clock import Instant

_OFFSET = struct.Struct("d")


class OffsetClock:
    """The machine's clocks, the wall clock off by what ``path`` holds."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._memory = mmap.mmap(file.fileno(), _OFFSET.size, access=mmap.ACCESS_READ)

    def now(self) -> Instant:
        """Both clocks, read together."""
        (offset,) = _OFFSET.unpack(self._memory[:])
        return Instant(time.time() + offset, time.monotonic())


class ClockDial:
    """Sets the clocks that read ``path``, at once and without asking them."""

    def __init__(self, path: Path, offset: float = 0.0) -> None:
        self.path = path
        path.write_bytes(_OFFSET.pack(offset))

    @property
    def offset(self) -> float:
        """By how many seconds they are off."""
        offset: float = _OFFSET.unpack(self.path.read_bytes())[0]
        return offset

    def set(self, offset: float) -> None:
        """From now on they are off by ``offset`` seconds."""
        with self.path.open("r+b") as file:
            file.write(_OFFSET.pack(offset))
