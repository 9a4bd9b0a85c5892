"""Grants while somebody holds them: each ends when the verifier would refuse its token, and whoever holds it is told.

Everything happens on the event loop that the verifier was started on. A record that was applied has ended those whom it
concerns before the next is taken; what concerns very many goes on in slices, in the one task that also keeps the time.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, cast

from ostraka_schemas.records import Record

from .clock import Clock
from .errors import (
    ConfigurationError,
    Expired,
    KeyCompromised,
    NotReady,
    PermissionDenied,
    Revoked,
    Stale,
    TooManyGrants,
    UnknownKey,
    VerificationError,
)
from .limits import LIVE_GRANTS_MAX, LIVE_LOOK_MAX, LIVE_LOOK_MIN
from .trust.core import TrustCore
from .trust.instant import Instant
from .trust.lapse import Asked, Patience
from .trust.live import Held, LiveGrants
from .trust.tokens import GenuineToken

if TYPE_CHECKING:
    from .grant import Grant

_log: Final = logging.getLogger("ostraka.verifier")

EndReason = Literal["revoked", "permission_denied", "expired", "stale", "key_compromised", "unknown_key", "closed"]

_ERRORS: Final[dict[EndReason, type[VerificationError]]] = {
    "revoked": Revoked,
    "permission_denied": PermissionDenied,
    "expired": Expired,
    "stale": Stale,
    "key_compromised": KeyCompromised,
    "unknown_key": UnknownKey,
    "closed": NotReady,
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a grant ended.

    Attributes:
        reason: ``revoked``; ``permission_denied``: a requirement that was asked of it does not hold any more;
            ``expired``; ``stale``: no news from the feed for too long; ``key_compromised``; ``unknown_key``: its key is
            no longer in force; ``closed``: the verifier was stopped.
        detail: the same in words, without the token.
    """

    reason: EndReason
    detail: str

    @classmethod
    def of(cls, error: VerificationError) -> "Ending":
        """The ending that ``error`` speaks of."""
        reason = "closed" if isinstance(error, NotReady) else error.code
        return cls(cast("EndReason", reason), str(error))

    def error(self) -> VerificationError:
        """The error that a decision would raise now."""
        return _ERRORS[self.reason](self.detail)


class Watch:
    """Tells those who hold grants of one verifier.

    Args:
        core: what is asked.
        clock: tells the time.
    """

    def __init__(self, core: TrustCore, clock: Clock) -> None:
        self._grants: Final = LiveGrants(core)
        self._clock: Final = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._sleeps_until = math.inf

    def __len__(self) -> int:
        return len(self._grants)

    @property
    def looks(self) -> int:
        """How often a grant was looked at, in all."""
        return self._grants.looks

    # --- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, on the running event loop. There is no task until the first grant is held."""
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()

    def close(self) -> "list[asyncio.Task[None]]":
        """End all grants; no other can be held. Returns what is left to await."""
        self._end_all()
        task, self._task = self._task, None
        if task is None:
            return []
        task.cancel()
        return [task]

    def _end_all(self) -> None:
        self._loop = None
        for held in tuple(self._grants.held):
            self._grants.discard(held)
            held.tell(NotReady("the verifier was stopped"))

    # --- what happens ------------------------------------------------------------------------------------------------

    def notice(self, applied: Collection[Record], at: Instant) -> None:
        """End those whom it concerns that the core took something; a slice of them now, if they are many."""
        loop = self._loop
        if loop is None or not len(self._grants) or loop.is_closed():
            return
        if _running_loop() is loop:
            self._grants.notice(applied, at)
            self._settle(at)
        else:  # handed in by somebody from elsewhere
            loop.call_soon_threadsafe(self.notice, applied, at)

    def look(self) -> None:
        """End those whose time has passed."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        if _running_loop() is loop:
            at = self._clock.now()
            self._grants.look(at)
            self._settle(at)
        else:
            loop.call_soon_threadsafe(self.look)

    def _settle(self, at: Instant) -> None:
        if self._grants.settle(at):
            self._wake.set()

    async def _run(self) -> None:
        try:
            while True:
                self._wake.clear()
                self._sleeps_until = -math.inf  # awake: nobody need wake it
                at = self._clock.now()
                self._grants.look(at)
                while self._grants.settle(at):
                    await asyncio.sleep(0)
                    at = self._clock.now()
                await self._sleep()
        except Exception:  # noqa: BLE001 - whatever it is, nobody goes on unwatched
            _log.exception("grants can no longer be watched, so all of them end")
            self._end_all()

    async def _sleep(self) -> None:
        left = self._grants.until_next(self._clock.now())
        until = math.inf
        if left is not None:
            until = asyncio.get_running_loop().time() + min(max(left, LIVE_LOOK_MIN), LIVE_LOOK_MAX)
        self._sleeps_until = until
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(None if math.isinf(until) else until):
                await self._wake.wait()

    # --- who holds ---------------------------------------------------------------------------------------------------

    def hold(self, held: Held) -> None:
        """Hold a grant on the running event loop; ``held.tell`` is called when it ends.

        Raises:
            VerificationError: it has ended already, or too many are held.
            ConfigurationError: this is not the event loop that the verifier runs on.
        """
        if self._loop is None:
            raise NotReady("the verifier is not running")
        if _running_loop() is not self._loop:
            raise ConfigurationError(
                "a grant is watched on the event loop that its verifier was started on; from another loop or thread, "
                "hand the work over, e.g. with asyncio.run_coroutine_threadsafe"
            )
        at = self._clock.now()
        over = self._grants.why_over(held, at)
        if over is not None:
            raise over
        if len(self._grants) >= LIVE_GRANTS_MAX:
            raise TooManyGrants(f"{LIVE_GRANTS_MAX} grants are watched already")
        self._grants.add(held)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="ostraka live grants")
        elif self._loop.time() + min(self._grants.lasts(held, at), LIVE_LOOK_MAX) < self._sleeps_until:
            self._wake.set()

    def release(self, held: Held) -> None:
        """Hold it no more. May be called again, and after the end."""
        self._grants.discard(held)

    async def ended(self, token: GenuineToken, asked: Asked, patience: Patience) -> Ending:
        """Wait until a grant ends."""
        future: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

        def tell(over: VerificationError) -> None:
            if not future.done():
                future.set_result(Ending.of(over))

        held = Held(token, asked, patience, tell)
        try:
            self.hold(held)
        except TooManyGrants:
            raise
        except VerificationError as over:
            return Ending.of(over)
        try:
            return await future
        finally:
            self.release(held)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Watched:
    """The context manager of ``Grant.watched``: cancels its body when the grant ends, as ``asyncio.timeout`` does."""

    __slots__ = ("_cancelled", "_cancelling", "_grant", "_handle", "_held", "_over", "_task", "_watch")

    def __init__(self, watch: Watch, grant: "Grant", token: GenuineToken, asked: Asked, patience: Patience) -> None:
        self._watch = watch
        self._grant = grant
        self._held = Held(token, asked, patience, self._tell)
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._over: VerificationError | None = None
        self._handle: asyncio.Handle | None = None
        self._cancelled = False

    async def __aenter__(self) -> "Grant":
        if self._task is not None:
            raise ConfigurationError("this watch was entered already: call watched() for each body")
        task = asyncio.current_task()
        if task is None:
            raise ConfigurationError("a grant is watched in a task, which its end can cancel")
        self._task, self._cancelling = task, task.cancelling()
        self._watch.hold(self._held)
        return self._grant

    def _tell(self, over: VerificationError) -> None:
        # Not at once: it may be the body itself that has just brought the news, and then it is not waiting.
        self._over = over
        if self._task is not None:
            self._handle = self._task.get_loop().call_soon(self._cancel)

    def _cancel(self) -> None:
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._watch.release(self._held)
        if self._handle is not None:
            self._handle.cancel()
        if not self._cancelled or self._task is None or self._over is None:
            return
        # Cancelled from outside as well: that goes on. Another error of the body is not hidden either.
        alone = self._task.uncancel() <= self._cancelling
        if alone and (kind is None or issubclass(kind, asyncio.CancelledError)):
            raise self._over from error
