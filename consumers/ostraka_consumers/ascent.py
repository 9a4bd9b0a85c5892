"""Starting several verifiers side by side, where one that cannot be ready must not hold up the others for ever."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from ostraka_schemas.errors import OstrakaError

from .errors import ConfigurationError, NotReady, SourceError
from .sources._backoff import AfterBreaking, Backoff
from .verifier import Verifier

_log: Final = logging.getLogger("ostraka.verifier")
_NAMED: Final = (NotReady, SourceError, ConfigurationError)


class Ascent:
    """Starts each of ``verifiers`` in a task of its own, from ``run`` to ``stop``.

    Args:
        patient: one that is ready is enough; the others are started again, with pauses, until they are ready too.
        jitter: picks the pause between 0 and its argument before a verifier is started again.
    """

    def __init__(self, verifiers: Sequence[Verifier], *, patient: bool, jitter: Callable[[float], float]) -> None:
        self._patient: Final = patient
        self._jitter: Final = jitter
        loop = asyncio.get_running_loop()
        # What came of the first attempt: None, or why it failed.
        self._firsts: Final[list[asyncio.Future[BaseException | None]]] = [loop.create_future() for _ in verifiers]
        self._tasks: Final = [
            asyncio.create_task(self._bring_up(verifier, first), name=f"ostraka start {verifier.anchor.issuer}")
            for verifier, first in zip(verifiers, self._firsts, strict=True)
        ]

    async def run(self) -> None:
        """Return once all are ready or, being patient, one is.

        Raises:
            NotReady, SourceError, ConfigurationError: of the first that failed, if there is no hope left.
        """
        pending: set[asyncio.Future[BaseException | None]] = set(self._firsts)
        failures: list[BaseException] = []
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            failures += [failure for first in done if (failure := first.result()) is not None]
            if self._patient and len(failures) < len(self._firsts) - len(pending):
                return
            if failures and not self._patient:
                break
        if failures:
            raise failures[0]

    async def stop(self) -> None:
        """Start nothing any more; whoever waits in ``run`` is told. Waits for every task."""
        for first in self._firsts:
            if not first.done():
                first.set_result(NotReady("the verifier was stopped before it was ready"))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _bring_up(self, verifier: Verifier, first: "asyncio.Future[BaseException | None]") -> None:
        backoff = Backoff(AfterBreaking(), self._jitter)
        while (failure := await _attempt(verifier)) is not None:
            if not first.done():
                first.set_result(failure)
            if not self._patient:
                return
            _log.error("cannot decide yet: %s", failure)
            if not isinstance(failure, NotReady):
                return  # no waiting will help
            await asyncio.sleep(backoff.pause())
        if not first.done():
            first.set_result(None)


async def _attempt(verifier: Verifier) -> BaseException | None:
    """Start it; returns why it is not ready, with the issuer's name where the error is one of ours."""
    try:
        await verifier.start()
    except OstrakaError as error:
        return type(error)(f"{verifier.anchor.issuer}: {error}") if type(error) in _NAMED else error
    except Exception as error:  # noqa: BLE001 - it is raised where somebody waits for it
        return error
    return None
