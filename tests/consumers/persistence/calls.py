"""The system calls that change files, each of which can fail, or be the last one of a process."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("write", "fsync", "replace", "unlink", "ftruncate")


@contextmanager
def before_each(directory: Path, happen: Callable[[str, tuple[Any, ...]], None]) -> Iterator[None]:
    """Let something happen before every call that changes a file below ``directory``, or its entry."""
    kept = {name: getattr(os, name) for name in NAMES}

    def concerns(target: Any) -> bool:
        path = Path(f"/proc/self/fd/{target}").readlink() if isinstance(target, int) else Path(target)
        return path.is_relative_to(directory)

    def replaced(name: str) -> Callable[..., Any]:
        def call(target: Any, *args: Any, **kwargs: Any) -> Any:
            if concerns(target):
                happen(name, (target, *args))
                if name == "fsync":
                    return None  # takes long, and no power is cut here
            return kept[name](target, *args, **kwargs)

        return call

    for name in NAMES:
        setattr(os, name, replaced(name))
    try:
        yield
    finally:
        for name, call in kept.items():
            setattr(os, name, call)


def write_half(args: tuple[Any, ...]) -> None:
    """Of what was to be written, write half: as far as a full disk, or a process that dies, came."""
    descriptor, data = args
    os.pwrite(descriptor, bytes(data)[: len(data) // 2], os.lseek(descriptor, 0, os.SEEK_CUR))
    os.lseek(descriptor, len(data) // 2, os.SEEK_CUR)
