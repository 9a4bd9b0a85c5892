"""What names a process in the lease, so that another one on the same machine can tell that it has ended.

A process that was killed gives nothing back. Whoever starts in its place on the same machine need not wait for the end
of the lease: the system knows that the process is gone. Should that ever be wrong, the fence keeps the feed whole.
"""

import contextlib
import os
import secrets
import socket
from hashlib import sha256
from pathlib import Path
from typing import Final

_PARTS: Final = 4


def _machine() -> str | None:
    """Names the machine since its start, and the processes that can see one another; ``None`` where nothing tells."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        namespace = os.fsencode(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return None
    return sha256(boot + namespace).hexdigest()[:12]


_MACHINE: Final = _machine()


def holder_name() -> str:
    """Names one life of the feed in this process, and nothing else ever."""
    return f"{socket.gethostname()}:{_MACHINE or ''}:{os.getpid()}:{secrets.token_hex(4)}"


def has_ended(holder: str | None) -> bool:
    """Whether the process of that name is known to be gone. ``False`` of another machine's."""
    parts = (holder or "").rsplit(":", _PARTS - 1)
    if len(parts) != _PARTS or _MACHINE is None or parts[1] != _MACHINE or not parts[2].isdecimal():
        return False
    with contextlib.suppress(PermissionError, OverflowError):  # It is somebody else's: it is there.
        try:
            os.kill(int(parts[2]), 0)
        except ProcessLookupError:
            return True
    return False
