"""Child processes that do not outlive their parent.

A child gets a process group of its own, so that Ctrl-C in the terminal reaches only us and we can stop the children in
order. On Linux the kernel also kills the child when the thread that started it ends, however it ends: start children
from the main thread. Elsewhere a parent that is killed with SIGKILL leaves its children running.

Nothing here belongs to an event loop: a child started under one loop can be stopped under another.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

POLL_SECONDS = 0.01
KILL_SECONDS = 10.0
"""How long a process may take to disappear after SIGKILL; only one stuck in the kernel takes that long."""

# Runs in a tiny Python of its own that becomes the child. `preexec_fn` would do the same between fork and exec, where a
# lock held by another thread means a deadlock. The parent may be gone before the call: then there is nothing to do.
_BIND_TO_PARENT = """
import os, signal, sys
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
except (ImportError, AttributeError):
    pass
if os.getppid() != int(sys.argv[1]):
    sys.exit(0)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def start_child(
    command: Sequence[str],
    *,
    output: IO[bytes] | int = subprocess.DEVNULL,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Starts a process that ends with this one.

    Args:
        command: the program and its arguments.
        output: where standard output and standard error go, an open file or a constant of ``subprocess``.
        environment: the whole environment of the child; by default that of this process.
        directory: its working directory; by default that of this process.

    Returns:
        The running process. Its id is the id of the program itself.

    Raises:
        OSError: the program cannot be started.
    """
    bound = [sys.executable, "-I", "-S", "-c", _BIND_TO_PARENT, str(os.getpid()), *command]
    return subprocess.Popen(
        bound if sys.platform == "linux" else list(command),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=directory,
        start_new_session=True,
    )


async def wait_for_end(process: subprocess.Popen[bytes], within: float) -> bool:
    """Waits for the process to end, at most ``within`` seconds, and says whether it did."""
    deadline = time.monotonic() + within
    while process.poll() is None:
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


async def kill_child(process: subprocess.Popen[bytes]) -> None:
    """Ends the process with SIGKILL, also one that is stopped with SIGSTOP, and waits until it is gone.

    Raises:
        TimeoutError: it is still there after ``KILL_SECONDS``.
    """
    if process.poll() is None:
        process.kill()
    if not await wait_for_end(process, KILL_SECONDS):
        raise TimeoutError(f"process {process.pid} is still there {KILL_SECONDS:.0f} s after SIGKILL")


async def stop_child(process: subprocess.Popen[bytes], patience: float) -> None:
    """Ends the process with SIGTERM and, if it takes longer than ``patience`` seconds, with SIGKILL."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(ProcessLookupError):
            # A process that was paused would not see SIGTERM.
            os.kill(process.pid, signal.SIGCONT)
    if not await wait_for_end(process, patience):
        await kill_child(process)
