"""A thread that owns a verifier and its event loop, and the doors to it from all other threads."""

import asyncio
import contextlib
import logging
import math
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Final, Protocol, Self

from ostraka_consumers import limits
from ostraka_consumers.clock import Clock
from ostraka_consumers.errors import ConfigurationError, NotReady
from ostraka_consumers.grant import Grant
from ostraka_consumers.live import Ending
from ostraka_consumers.protocol import TokenVerifier
from ostraka_consumers.requirements import Requirement
from ostraka_consumers.verifier import Grace

from ._bearer import bearer_of, checked_freshness, requirement_or_none

_log: Final = logging.getLogger("ostraka.threads")


class Owned(TokenVerifier, Protocol):
    """A verifier that lives on the thread's event loop, and may be asked from any thread."""

    async def start(self) -> None:
        """See ``Verifier.start``."""
        ...

    async def stop(self) -> None:
        """See ``Verifier.stop``."""
        ...


class Threaded:
    """Decides, in whichever thread asks, what a token still allows.

    Args:
        owned: started and stopped on a thread of its own.
    """

    def __init__(self, owned: Owned) -> None:
        self._owned: Final = owned
        self._changing: Final = threading.Lock()
        self._life: _Life | None = None
        self._pid: int | None = None

    def verify(self, token: str | bytes, *, max_staleness: float = math.inf, grace: Grace | None = None) -> Grant:
        """Decide on an access token; see ``Verifier.verify``. From any thread.

        Raises:
            VerificationError: one of its subclasses says why not.
            ConfigurationError: the verifier was started before this process was forked off.
        """
        self._check_process()
        return self._owned.verify(token, max_staleness=max_staleness, grace=grace)

    def authorize(
        self,
        authorization: str | Sequence[str] | None,
        *,
        requires: str | Requirement | Sequence[str | Requirement] | None = None,
        max_staleness: float = math.inf,
        grace: Grace | None = None,
    ) -> Grant:
        """The grant of whoever made a request or call.

        Args:
            authorization: the value of its ``Authorization`` header; all of them, where the framework tells.
            requires: what the caller must be allowed; left out, any good token will do.
            max_staleness: seconds without news from the feed that are borne, if less than the verifier's own.
            grace: with ``"until_exp"``, accept tokens until their end while there is no news; see ``Verifier.verify``.

        Raises:
            VerificationError: there is no good token, or it does not allow this.
            ConfigurationError: ``requires`` is empty or no permission, or a bound is none; or as for ``verify``.
        """
        requirement, bounds = requirement_or_none(requires), checked_freshness(max_staleness, grace)
        values = (authorization,) if isinstance(authorization, str) else authorization or ()
        grant = self.verify(bearer_of(values), max_staleness=bounds.max_staleness, grace=bounds.grace)
        if requirement is not None:
            grant.require(requirement)
        return grant

    def ending(self, grant: Grant, *requires: str | Requirement) -> "Future[Ending]":
        """Why ``grant`` ended, once it has, or allows ``requires`` no more; see ``Grant.ended``. Cancel it to watch no
        longer.

        Raises:
            NotReady: the verifier is not running.
            ConfigurationError: it was started before this process was forked off.
        """
        self._check_process()
        life = self._life
        if life is None:
            raise NotReady("the verifier is not running")
        return asyncio.run_coroutine_threadsafe(grant.ended(*requires), life.loop)

    def start(self) -> None:
        """Follow the feed, and return once tokens can be decided.

        Raises:
            NotReady, SourceError: as for ``Verifier.start``.
            ConfigurationError: as for ``Verifier.start``; or it was started before this process was forked off.
        """
        with self._changing:
            self._check_process()
            if self._life is not None:
                raise ConfigurationError("the verifier is running already")
            self._pid = os.getpid()
            life = self._life = _Life(self._owned)
        try:
            life.ready.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop following the feed, or starting to, and wait for the thread. May be called twice, from any thread."""
        with self._changing:
            life, self._life = self._life, None
        if life is not None and self._pid == os.getpid():
            life.end()

    @property
    def clock(self) -> Clock:
        """The clock it judges by."""
        return self._owned.clock

    def _check_process(self) -> None:
        if self._pid is not None and self._pid != os.getpid():
            raise ConfigurationError(
                "this verifier was started before the process was forked, and its thread stayed behind: "
                "make one and start it in each worker"
            )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class _Life:
    """The thread, from start to stop."""

    def __init__(self, verifier: Owned) -> None:
        self.ready: Final[Future[None]] = Future()
        self.loop: Final = asyncio.new_event_loop()
        self._stopping: Final = asyncio.Event()
        # A daemon: a program that ends without stop() is not held up by it.
        self._thread: Final = threading.Thread(target=self._run, args=(verifier,), name="ostraka verifier", daemon=True)
        self._thread.start()

    def end(self) -> None:
        with contextlib.suppress(RuntimeError):  # it has ended already, and its loop is closed
            self.loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(limits.THREAD_STOP_MAX)
        if self._thread.is_alive():
            _log.error("the verifier's thread did not end within %g s", limits.THREAD_STOP_MAX)

    def _run(self, verifier: Owned) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                runner.run(self._live(verifier))
        except BaseException as error:  # noqa: BLE001 - it is told to whoever starts it
            if self.ready.done():
                _log.exception("the verifier's thread broke")
            else:
                self.ready.set_exception(error)

    async def _live(self, verifier: Owned) -> None:
        starting = asyncio.create_task(verifier.start(), name="ostraka start")
        stopping = asyncio.create_task(self._stopping.wait(), name="ostraka stop")
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if not starting.done():
                await verifier.stop()
            await starting
            self.ready.set_result(None)
            await stopping
        finally:
            stopping.cancel()
            await verifier.stop()
