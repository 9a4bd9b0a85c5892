"""One process of the stack: its start, its readiness, its end, and the end of its log if it fails."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from .children import kill_child, start_child, stop_child
from .errors import DeskError

READY_SECONDS: Final = 40.0
"""A slow machine takes seconds to import; a service then waits up to 30 s for the feed, and says why if it has to."""

STOP_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.02
_TAIL_BYTES: Final = 3_000


class Service:
    """A Python module that runs as a process of its own and ends with this one.

    Args:
        name: for people.
        arguments: what follows ``python -m``.
        environment: its whole environment.
        log: where its output goes.
    """

    def __init__(self, name: str, arguments: Sequence[str], *, environment: Mapping[str, str], log: Path) -> None:
        self.name: Final = name
        self.log: Final = log
        self._command = [sys.executable, "-m", *arguments]
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, or ``None`` if it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it. From the main thread: it ends with the thread that started it.

        Raises:
            DeskError: it cannot be started.
        """
        try:
            with self.log.open("ab") as output:
                self._process = start_child(self._command, output=output, environment=self._environment)
        except OSError as error:
            raise DeskError(f"cannot start {self.name}: {error.strerror}") from error

    async def until(
        self,
        ready: Callable[[], Awaitable[bool]],
        *,
        beside: Sequence["Service"] = (),
        within: float = READY_SECONDS,
    ) -> None:
        """Wait until ``ready`` says so.

        Args:
            beside: others that must run meanwhile.

        Raises:
            DeskError: it, or another one, ended before, or it was not ready in time.
        """
        deadline = time.monotonic() + within
        while not await ready():
            for service in (*beside, self):
                service.check()
            if time.monotonic() >= deadline:
                raise DeskError(f"{self.name} was not ready within {within:.0f} s. {self.last_words()}")
            await asyncio.sleep(POLL_SECONDS)

    def check(self) -> None:
        """See that it runs.

        Raises:
            DeskError: it does not.
        """
        if self.pid is None:
            code = None if self._process is None else self._process.returncode
            raise DeskError(f"{self.name} ended with exit code {code}. {self.last_words()}")

    async def stop(self) -> None:
        """End it in order, by force after ``STOP_SECONDS``. No effect if it does not run."""
        if self._process is not None:
            await stop_child(self._process, STOP_SECONDS)

    async def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            await kill_child(self._process)

    def has_said(self, words: str) -> bool:
        """Whether its log holds ``words``."""
        return self.log.exists() and words.encode() in self.log.read_bytes()

    def last_words(self) -> str:
        """The end of its log, as part of a message."""
        if not self.log.exists():
            return "It said nothing."
        with self.log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            said = file.read().decode("utf-8", "replace").strip()
        return f"Its last words: {said}" if said else "It said nothing."


async def stop_all(services: Sequence[Service]) -> None:
    """End them, the last one first, all at the same time if one is slow."""
    await asyncio.gather(*(service.stop() for service in reversed(services)))
