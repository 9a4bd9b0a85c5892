"""Whole files: replaced whole or not at all, and durably."""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

_EXACT: Final = getattr(os, "O_BINARY", 0)
_OURS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | _EXACT
_AT_ONCE: Final = getattr(os, "O_NONBLOCK", 0)
_MODE: Final = 0o600


def open_to_read(path: Path) -> BinaryIO | None:
    """Open a file; ``None`` if there is none, or what is there is no regular file.

    Raises:
        OSError
    """
    try:
        # Not waiting: a pipe of that name would be one to wait for.
        descriptor = os.open(path, os.O_RDONLY | _OURS | _AT_ONCE)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


def open_to_write(path: Path, *, empty: bool = False) -> int:
    """A descriptor for a file that is made if it is not there; only this user can read it.

    Raises:
        OSError: also if what is there is no regular file.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | _OURS | _AT_ONCE | (os.O_TRUNC if empty else 0), _MODE)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ENXIO, "not a regular file")
    return descriptor


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``.

    Raises:
        OSError: then some of it may have been written.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def replace(path: Path, pieces: Iterable[bytes]) -> None:
    """Put ``pieces`` into ``path``, durably; readers see the file before or the one after, never a mixture.

    Raises:
        OSError: the file is the one before, or, if only its durability is in doubt, the one after.
    """
    draft = path.with_suffix(".new")
    try:
        descriptor = open_to_write(draft, empty=True)
        try:
            for piece in pieces:
                write_all(descriptor, piece)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.replace(path)
    except OSError:
        # On a full disk what was begun is what others lack.
        _try_to_remove(draft)
        raise
    sync_directory(path.parent)


def remove(path: Path) -> None:
    """See that there is no such file.

    Raises:
        OSError
    """
    path.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make a directory's entries durable, where the system can (POSIX).

    Raises:
        OSError
    """
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _try_to_remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
