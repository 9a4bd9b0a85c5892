"""Which processes run for a directory: what a stack leaves behind is found by what it was told."""

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

PATIENCE = 15.0


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A process that has ended and that nobody has waited for yet still has an id.
    with contextlib.suppress(OSError):
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    return True


def until_gone(pids: Iterable[int]) -> None:
    deadline = time.monotonic() + PATIENCE
    left = list(pids)
    while left:
        left = [pid for pid in left if not gone(pid)]
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.02)
