"""A verifier for synchronous code: Flask, Django, gRPC, and whatever else has threads and no event loop.

    verifier = ThreadVerifier(anchor, audience="orders", sources=[KafkaSource("kafka:9092")])

    with verifier:                                 # or start() and stop()
        grant = verifier.authorize(request.headers.get("Authorization"), requires="orders:create")

``authorize`` and ``verify`` may be called from any thread. ``answer_to`` gives the HTTP answer to a refusal (RFC 6750
§3, RFC 9457).

It owns one thread with an event loop, in which the feed is followed. ``verify`` is answered in the thread that asks, in
microseconds; a lock keeps it from a state that is half changed.

**Servers that fork** (gunicorn, uWSGI, multiprocessing): threads do not survive a fork. Start it in each worker, after
the fork, as with gunicorn's ``post_fork``. One that was started before refuses to decide in the child, rather than
deciding by a state that nobody renews.
"""

import asyncio
import contextlib
import logging
import math
import os
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Final, Self

from ostraka_consumers import limits
from ostraka_consumers.anchor import TrustAnchor
from ostraka_consumers.clock import Clock
from ostraka_consumers.errors import ConfigurationError, NotReady
from ostraka_consumers.grant import Grant
from ostraka_consumers.live import Ending
from ostraka_consumers.requirements import Requirement
from ostraka_consumers.sources.base import Source
from ostraka_consumers.status import Status
from ostraka_consumers.trust.instant import Instant
from ostraka_consumers.trust.receipt import Receipt
from ostraka_consumers.verifier import Grace, Verifier

from ._bearer import bearer_of, checked_freshness, requirement_or_none
from ._http import Answer, answer_to

__all__ = ["Answer", "ThreadVerifier", "answer_to"]

_log: Final = logging.getLogger("ostraka.threads")


class _Shared(Verifier):
    """A verifier whose state is changed in one thread and asked about in others."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._lock = threading.Lock()
        super().__init__(*args, **options)

    def verify(self, token: str | bytes, *, max_staleness: float = math.inf, grace: Grace | None = None) -> Grant:
        with self._lock:
            return super().verify(token, max_staleness=max_staleness, grace=grace)

    def _take(self, raw: bytes, at: Instant) -> Receipt:
        with self._lock:
            return super()._take(raw, at)

    @property
    def status(self) -> Status:
        with self._lock:
            return super().status


class ThreadVerifier:
    """Decides, in whichever thread asks, what a token still allows.

    Args:
        anchor: whom to believe.
        audience: the name or names under which this service is meant by ``aud``.
        sources: where the feed comes from; any one of them is enough.
        clock: tells the time; the system's by default.
        max_staleness: seconds without news after which nothing is accepted. The root document's bound holds as well.
        ready_timeout: seconds that ``start`` waits for the feed.
        remember: how many verified tokens to keep; 0 for none.
        state_directory: where to keep a copy of what is signed; see ``Verifier``. One process each.

    Raises:
        ConfigurationError: as for ``Verifier``.
    """

    def __init__(
        self,
        anchor: TrustAnchor,
        *,
        audience: str | Collection[str],
        sources: Sequence[Source],
        clock: Clock | None = None,
        max_staleness: float | None = None,
        ready_timeout: float = limits.READY_TIMEOUT,
        remember: int = limits.REMEMBERED_TOKENS,
        state_directory: str | os.PathLike[str] | None = None,
    ) -> None:
        self._verifier: Final = _Shared(
            anchor,
            audience=audience,
            sources=sources,
            clock=clock,
            max_staleness=max_staleness,
            ready_timeout=ready_timeout,
            remember=remember,
            state_directory=state_directory,
        )
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
        return self._verifier.verify(token, max_staleness=max_staleness, grace=grace)

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
            life = self._life = _Life(self._verifier)
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
    def status(self) -> Status:
        """How it is, at this moment."""
        return self._verifier.status

    @property
    def clock(self) -> Clock:
        """The clock it judges by."""
        return self._verifier.clock

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

    def __init__(self, verifier: Verifier) -> None:
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

    def _run(self, verifier: Verifier) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                runner.run(self._live(verifier))
        except BaseException as error:  # noqa: BLE001 - it is told to whoever starts it
            if self.ready.done():
                _log.exception("the verifier's thread broke")
            else:
                self.ready.set_exception(error)

    async def _live(self, verifier: Verifier) -> None:
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
