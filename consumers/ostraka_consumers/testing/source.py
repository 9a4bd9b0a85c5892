"""The short way from a fake issuer to its verifiers: whoever speaks goes on when everybody has heard."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from ostraka_consumers.errors import SourceError
from ostraka_consumers.limits import TESTING_PATIENCE
from ostraka_consumers.sources.base import FeedSink

__all__ = ["FakeSource", "Listeners"]


@dataclass
class Listeners:
    """Sinks of verifiers, each with the event loop it lives on.

    Attributes:
        silent: nothing is handed on.
    """

    silent: bool = False
    _of: list[tuple[FeedSink, asyncio.AbstractEventLoop]] = field(default_factory=list)

    def add(self, sink: FeedSink) -> None:
        """Hand everything to ``sink``, on the running loop."""
        self._of.append((sink, asyncio.get_running_loop()))

    def remove(self, sink: FeedSink) -> None:
        """Hand nothing to it any more."""
        self._of = [(other, loop) for other, loop in self._of if other is not sink]

    def tell(self, raws: Sequence[bytes]) -> None:
        """Hand bytes to everybody, each on its own loop, and wait until they have them.

        Raises:
            SourceError: a loop in another thread does not answer.
        """
        if self.silent:
            return
        for sink, loop in self._of:
            _tell(sink, loop, raws)


def _tell(sink: FeedSink, loop: asyncio.AbstractEventLoop, raws: Sequence[bytes]) -> None:
    # Between two runs of a loop nobody else uses what lives on it.
    if _is_here(loop) or not loop.is_running():
        _deliver(sink, raws)
        return
    done: Future[None] = Future()

    def deliver() -> None:
        _deliver(sink, raws)
        done.set_result(None)

    loop.call_soon_threadsafe(deliver)
    try:
        done.result(TESTING_PATIENCE)
    except TimeoutError:
        raise SourceError("the event loop of a verifier, in another thread, does not answer") from None


def _is_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _deliver(sink: FeedSink, raws: Sequence[bytes]) -> None:
    for raw in raws:
        sink.deliver(raw)


class FakeSource:
    """A source (``Source``) of what a fake issuer says. Made by ``FakeIssuer.source``."""

    def __init__(self, name: str, listeners: Listeners, everything: Callable[[], Sequence[bytes]]) -> None:
        self.name = name
        self._listeners = listeners
        self._everything = everything

    async def run(self, sink: FeedSink) -> None:
        """Hand on all that was said, and then what is said."""
        sink.report("listening")
        everything = self._everything()
        if not self._listeners.silent:
            _deliver(sink, everything)
        self._listeners.add(sink)
        try:
            await asyncio.Event().wait()
        finally:
            self._listeners.remove(sink)
