"""The task that moves token keys along when their time has come."""

import asyncio
import logging
from collections.abc import Callable

from ostraka_consumers.uninterrupted import uninterrupted
from ostraka_issuer.errors import IssuerError
from ostraka_issuer.limits import KEY_KEEPER_RETRY

from .ring import TokenKeys

_log = logging.getLogger("ostraka.keys")


class KeyKeeper:
    """Owns the task. ``start`` it once, ``stop`` it before the store closes; ``nudge`` it after a rotation.

    Args:
        here: whether it is this process's business now; of several on one database, it is one's. The others only look:
            what is spent leaves their memory, and what will sign is opened.
    """

    def __init__(self, keys: TokenKeys, *, here: Callable[[], bool] = lambda: True) -> None:
        self._keys = keys
        self._here = here
        self._nudged = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="ostraka key keeper")

    async def stop(self) -> None:
        """End, and wait for the end."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def nudge(self) -> None:
        """Look now: something changed."""
        self._nudged.set()

    @property
    def running(self) -> bool:
        """Whether the task is at work."""
        return self._task is not None and not self._task.done()

    async def _run(self) -> None:
        while True:
            self._nudged.clear()
            try:
                pause = await uninterrupted(self._keys.keep() if self._here() else self._keys.look())
            except IssuerError as error:
                _log.error("a step in the life of a token key must be repeated: %s", error)
                pause = KEY_KEEPER_RETRY
            try:
                async with asyncio.timeout(pause):
                    await self._nudged.wait()
            except TimeoutError:
                continue
