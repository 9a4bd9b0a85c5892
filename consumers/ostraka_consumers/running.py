"""``async with``: whatever is started at the beginning of a block and stopped at its end."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Running(ABC):
    """Runs while the block does."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @abstractmethod
    async def start(self) -> None:
        """Begin; returns once it runs."""

    @abstractmethod
    async def stop(self) -> None:
        """End; waits until it has."""
