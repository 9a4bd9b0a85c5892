"""A disk that is slow or fails, for one process: its system calls are answered by ``strace`` instead."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.waiting import until

ATTACH_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class DiskFault:
    """What goes wrong.

    Attributes:
        name: in words.
        calls: the system calls it befalls.
        inject: what ``strace --inject`` is to do with them.
    """

    name: str
    calls: str
    inject: str


SLOW = DiskFault("300 ms a sync", "fsync,fdatasync", "delay_exit=300000")
FULL = DiskFault("full", "pwrite64", "error=ENOSPC")
BROKEN_SYNC = DiskFault("I/O error at sync", "fsync,fdatasync", "error=EIO")
BROKEN_WRITE = DiskFault("I/O error at write", "pwrite64", "error=EIO")
READ_ONLY = DiskFault("read-only", "pwrite64", "error=EROFS")
DISK_FAULTS = (SLOW, FULL, BROKEN_SYNC, BROKEN_WRITE, READ_ONLY)


def strace_is_missing() -> str | None:
    """Why there can be no disk faults here, if there cannot."""
    return None if shutil.which("strace") else "strace is not installed; on Debian: apt-get install strace"


@asynccontextmanager
async def failing_disk(pid: int, fault: DiskFault) -> AsyncIterator[None]:
    """The process ``pid`` has this fault until the end of the block."""
    command = ["-qq", "-f", "-o", "/dev/null", "-e", f"trace={fault.calls}"]
    process = await asyncio.create_subprocess_exec(
        "strace", *command, "-e", f"inject={fault.calls}:{fault.inject}", "-p", str(pid), stderr=asyncio.subprocess.PIPE
    )
    try:
        await until(
            lambda: process.returncode is not None or _is_traced(pid), lambda: "strace attached", ATTACH_SECONDS
        )
        assert process.returncode is None, await _words(process)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()


def _has_ended(process: asyncio.subprocess.Process) -> bool:
    return process.returncode is not None


def _is_traced(pid: int) -> bool:
    """Whether every thread of the process is."""
    return all("TracerPid:\t0\n" not in status.read_text() for status in Path(f"/proc/{pid}/task").glob("*/status"))


async def _words(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    return (await process.stderr.read()).decode()
