"""One process, one directory. The system lets go of the lock when the process ends, however it ends."""

import os
import sys
from pathlib import Path
from typing import Final

from .files import open_to_write

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_NAME: Final = "lock"


class Lock:
    """The lock of a directory."""

    def __init__(self, directory: Path) -> None:
        self._path: Final = directory / _NAME
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether it is ours."""
        return self._descriptor is not None

    def take(self) -> None:
        """Take it; nothing happens if it is held already.

        Raises:
            BlockingIOError: another process, or another verifier of this one, has it.
            OSError
        """
        if self._descriptor is not None:
            return
        descriptor = open_to_write(self._path)
        try:
            _lock(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go of it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(error.errno, error.strerror) from error
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
