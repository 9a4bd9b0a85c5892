"""The verifier: the trust core, a clock and the sources that feed it, behind one synchronous question.

``verify`` makes no network call, takes no lock and never waits. What it needs to know the sources bring in, in tasks of
the verifier's own that live from ``start`` to ``stop``.
"""

import asyncio
import logging
import math
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Final, Literal

from ostraka_schemas.limits import TOKEN_MAX_BYTES
from ostraka_schemas.records import Position, Record

from .anchor import TrustAnchor
from .clock import Clock, SystemClock
from .errors import ConfigurationError, Malformed, NotReady, SourceError, Stale, VerificationError
from .grant import Grant
from .intake import Intake
from .limits import FOLLOW_STEADY, GRACE_LOG_EVERY, READY_TIMEOUT, REMEMBERED_TOKENS
from .live import Watch
from .memory import Memory
from .persistence.keeper import Keeper
from .running import Running
from .sources._backoff import AfterBreaking, Backoff
from .sources.base import Source
from .status import Status
from .trust.alarms import Alarm
from .trust.core import TrustCore
from .trust.instant import Instant
from .trust.receipt import Outcome, Receipt
from .trust.tokens import GenuineToken, TokenReader
from .uninterrupted import is_cancelled
from .watchers import Watchers

STATE: Final = "state directory"
"""Its name among the sources, in reports."""

_log: Final = logging.getLogger("ostraka.verifier")
_TOKEN_TYPES: Final = frozenset({str, bytes})
_NEWS: Final = frozenset({Outcome.APPLIED, Outcome.HEARTBEAT, Outcome.SNAPSHOT})
_JUMPS: Final = frozenset({Outcome.HEARTBEAT, Outcome.SNAPSHOT})
"""With these the state may have come to the head of a snapshot."""

_AS_EVER: Final = math.inf
"""Recognised as the same object: a comparison would cost a decision more."""

Grace = Literal["until_exp"]


class Verifier(Running):
    """Decides, locally, what a token still allows.

    Args:
        anchor: whom to believe.
        audience: the name or names under which this service is meant by ``aud``.
        sources: where the feed comes from; any one of them is enough.
        clock: tells the time; the system's by default.
        max_staleness: seconds without news after which nothing is accepted. The root document's bound holds as well.
        ready_timeout: seconds that ``start`` waits for the feed.
        remember: how many verified tokens to keep; 0 for none.
        state_directory: where to keep a copy of what is signed, for a faster start and so that a restarted verifier
            asks for as much as it knew before. One verifier each. Nothing in it is believed; but who may
            write to it can keep the verifier from becoming ready.
        jitter: picks the pause between 0 and its argument after which a source that broke is run again.
        applied: called with the records whose turn has come, right after they took effect: for traces and the like.
            It may not wait; what it raises is logged and changes nothing.

    Raises:
        ConfigurationError: no audience, no source, two of one name, or a bound on staleness that is not above zero.
    """

    def __init__(
        self,
        anchor: TrustAnchor,
        *,
        audience: str | Collection[str],
        sources: Sequence[Source],
        clock: Clock | None = None,
        max_staleness: float | None = None,
        ready_timeout: float = READY_TIMEOUT,
        remember: int = REMEMBERED_TOKENS,
        state_directory: str | os.PathLike[str] | None = None,
        jitter: Callable[[float], float] = lambda most: random.uniform(0, most),  # noqa: S311 - no secret
        applied: Callable[[Sequence[Record]], None] | None = None,
    ) -> None:
        audiences = frozenset((audience,) if isinstance(audience, str) else audience)
        if not audiences or not all(audiences):
            raise ConfigurationError(
                "a verifier needs at least one audience: the name by which tokens mean this service"
            )
        if not sources:
            raise ConfigurationError("a verifier needs at least one source of the feed")
        names = [source.name for source in sources] + ([] if state_directory is None else [STATE])
        if len(set(names)) != len(names):
            raise ConfigurationError("two sources have the same name; give one of them another")
        if max_staleness is not None and not max_staleness > 0:
            raise ConfigurationError("max_staleness is a number of seconds above zero")
        self.anchor: Final = anchor
        self.audiences: Final = audiences
        self._clock = clock or SystemClock()
        self._jitter: Final = jitter
        self._applied: Final = applied
        self._keeper = None if state_directory is None else Keeper(state_directory, anchor)
        keep = None if self._keeper is None else self._keeper.offer
        self._core = TrustCore(anchor, max_staleness=max_staleness, keep=keep)
        self._reader = TokenReader(anchor.issuer, audiences)
        self._memory: Memory[tuple[GenuineToken, Grant]] = Memory(remember)
        self._watch = Watch(self._core, self._clock)
        self._sources = tuple(sources)
        self._intakes = {
            name: Intake(name, self._core, self._clock, take=self._take, withheld=self._withheld) for name in names
        }
        self._ready_timeout = ready_timeout
        self._watchers = Watchers()
        self._jumps = 0
        self._refusals: Counter[str] = Counter()
        self._grace_log_at = -math.inf
        self._ready = False
        self._became_ready = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._starting: asyncio.Task[None] | None = None

    # --- the question ------------------------------------------------------------------------------------------------

    def verify(self, token: str | bytes, *, max_staleness: float = _AS_EVER, grace: Grace | None = None) -> Grant:
        """Decide on an access token (RFC 9068 §4, RFC 8725).

        Args:
            token: the compact JWS, as it came.
            max_staleness: seconds without news that this caller bears; less than the verifier's own, for strict routes.
            grace: with ``"until_exp"``, accept until the token's end while there is no news at all: the caller would
                rather serve somebody who was cut off meanwhile than nobody. Logged and counted (``token.grace``). No
                grace once there is a reason to doubt what was heard, nor before the verifier was ready.

        Returns:
            What the token still allows.

        Raises:
            VerificationError: one of its subclasses says why not. Nothing else is raised, whatever the token.
        """
        try:
            if not self._ready:
                raise NotReady(self._core.why_not_ready(self._clock.now()) or "the verifier is not running")
            # Before the look-up, which reads the token whole: neither size nor type is known yet.
            kind: object = type(token)
            if kind not in _TOKEN_TYPES or len(token) > TOKEN_MAX_BYTES:
                raise Malformed(f"a token is text or bytes, at most {TOKEN_MAX_BYTES} of them")
            core = self._core
            known = self._memory.get(token)
            if known is not None and core.holds_key_of(known[0]):
                genuine, grant = known
            else:
                known = None
                genuine = self._reader.read(token, core.keys)
                core.note_position(genuine, core.now(self._clock.now()))
                grant = Grant(core, genuine, self._watch)
            now = core.now(self._clock.now())
            core.check_times(genuine, now)
            core.check_revocation(genuine)
            try:
                core.check_staleness(now, max_staleness)
            except Stale as stale:
                self._grant_grace(grace, stale)
            if known is None:
                # Only what was accepted is remembered, so nothing that is refused can drive out what is good.
                self._memory.put(token, (genuine, grant))
        except VerificationError as refusal:
            self._refusals[f"token.{refusal.code}"] += 1
            raise
        if max_staleness is _AS_EVER and grace is None:
            return grant
        return Grant(core, genuine, self._watch, max_staleness, grace)

    def _grant_grace(self, grace: Grace | None, stale: Stale) -> None:
        if grace != "until_exp" or self._core.doubted:
            raise stale
        self._refusals["token.grace"] += 1
        now = self._clock.now().monotonic
        if now - self._grace_log_at > GRACE_LOG_EVERY:
            self._grace_log_at = now
            _log.warning("accepted a token by grace until its end: %s", stale)

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Follow the feed and return once tokens can be decided.

        Raises:
            NotReady: not within ``ready_timeout``, and the message says what is missing; or ``stop`` was called.
            SourceError: a source can never work as configured.
            ConfigurationError: the state directory can never work as configured, or another verifier is using it.
        """
        if self._tasks or self._starting is not None:
            raise ConfigurationError("the verifier is running already")
        # A task of its own, so that ``stop`` can end it without cancelling whoever waits for it.
        self._starting = asyncio.create_task(self._start(), name="ostraka start")
        try:
            await self._starting
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            raise NotReady("the verifier was stopped before it was ready") from None
        finally:
            self._starting = None

    async def _start(self) -> None:
        self._became_ready = asyncio.Event()  # each life may have an event loop of its own
        if self._keeper is not None:
            # No task runs yet, so nothing of it can make this verifier ready.
            self._core.resume(await self._keeper.open(self._intakes[STATE]))
        self._watch.start()
        self._tasks = [
            asyncio.create_task(self._follow(source), name=f"ostraka source {source.name}") for source in self._sources
        ]
        became_ready = asyncio.create_task(self._became_ready.wait(), name="ostraka ready")
        try:
            await self._wait_until_ready(became_ready)
        except BaseException:
            await self.stop()
            raise
        finally:
            became_ready.cancel()
            await asyncio.gather(became_ready, return_exceptions=True)

    async def _follow(self, source: Source) -> None:
        """Run a source, and again whenever it breaks: a mistake in it must not end what is known of the feed."""
        backoff = Backoff(AfterBreaking(), self._jitter)
        logged = False
        while True:
            began = self._clock.now().monotonic
            broke = await self._run(source)
            if broke is None:
                return
            lasted = self._clock.now().monotonic - began
            self._intakes[source.name].report(f"broke: {type(broke).__name__}; it is run again")
            if not logged or lasted >= FOLLOW_STEADY:
                _log.error("source %s broke and is run again", source.name, exc_info=broke)
                logged = True
            await asyncio.sleep(backoff.pause(lasted))

    async def _run(self, source: Source) -> BaseException | None:
        """What it broke with; ``None`` if it ended."""
        intake = self._intakes[source.name]
        try:
            await source.run(intake)
        except SourceError as error:
            intake.report(f"ended: {error}")
            _log.error("source %s can never work as configured: %s", source.name, error)
            raise
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            return error  # out of what it uses; nobody has cancelled it
        except Exception as error:  # noqa: BLE001 - whatever it is, the feed must be followed again
            return error
        return None

    async def _wait_until_ready(self, became_ready: "asyncio.Task[bool]") -> None:
        deadline = asyncio.get_running_loop().time() + self._ready_timeout
        pending: set[asyncio.Task[None] | asyncio.Task[bool]] = {became_ready, *self._tasks}
        while not became_ready.done():
            left = deadline - asyncio.get_running_loop().time()
            done, pending = await asyncio.wait(pending, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
            failure = next((e for t in done if not t.cancelled() and (e := t.exception()) is not None), None)
            if failure is not None:
                raise failure
            if not done or not any(not task.done() for task in self._tasks):
                if became_ready.done():
                    return
                doing = "; ".join(f"{name}: {intake.state}" for name, intake in self._intakes.items())
                missing = self._core.why_not_ready(self._clock.now())
                raise NotReady(f"not ready after {self._ready_timeout:g} s: {missing} ({doing})")

    async def stop(self) -> None:
        """Stop following the feed, or starting to. Waits for every task; may be called twice."""
        starting = self._starting
        if starting is not None and starting is not asyncio.current_task():
            starting.cancel()
            await asyncio.wait({starting})
        tasks, self._tasks = [*self._tasks, *self._watch.close()], []
        self._ready = False
        self._became_ready.clear()
        for task in tasks:
            task.cancel()
        try:
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    _log.error("a source had ended with an error: %s", result)
        finally:
            if self._keeper is not None:
                await self._keeper.close()

    # --- what comes in -----------------------------------------------------------------------------------------------

    def deliver(self, raw: bytes) -> Receipt:
        """Take what was found by somebody who is not one of the sources. Never raises."""
        return self._take(raw, self._clock.now())

    def _take(self, raw: bytes, at: Instant) -> Receipt:
        core = self._core
        before = core.alarms.copy()
        receipt = core.receive(raw, at)
        self._watch.notice(receipt.applied, at)
        if not self._ready and receipt.outcome in _NEWS and self._tasks and core.why_not_ready(at) is None:
            self._ready = True
            self._became_ready.set()
        for alarm in core.alarms - before:
            _log.error("alarm %s at feed position %s", alarm.value, core.head)
        if receipt.applied or receipt.outcome in _JUMPS:
            self._tell(receipt)
        return receipt

    def _tell(self, receipt: Receipt) -> None:
        head = self._core.head
        if self._core.counters["snapshots"] != self._jumps:
            self._jumps = self._core.counters["snapshots"]
            self._watchers.skip()
        self._watchers.publish(receipt.applied, head.position if head else None)
        if self._applied is not None and receipt.applied:
            try:
                self._applied(receipt.applied)
            except Exception:  # noqa: BLE001 - the records are applied, whatever it was
                _log.exception("whoever is told of applied records broke")

    def _withheld(self, source: str) -> None:
        self._core.alarms.add(Alarm.WITHHELD)
        _log.error("alarm %s: source %s speaks of records that it does not bring", Alarm.WITHHELD.value, source)

    def look(self) -> None:
        """Look at the clock now and end the watched grants whose time has passed.

        It does so by itself, too. For clocks that were moved by hand.
        """
        self._watch.look()

    # --- what can be seen --------------------------------------------------------------------------------------------

    @property
    def core(self) -> TrustCore:
        """The trust core, to look at; only ``deliver`` changes it."""
        return self._core

    @property
    def reader(self) -> TokenReader:
        """Reads tokens; for explanations."""
        return self._reader

    @property
    def clock(self) -> Clock:
        """The clock it judges by."""
        return self._clock

    @property
    def live(self) -> int:
        """How many grants are watched."""
        return len(self._watch)

    @property
    def status(self) -> Status:
        """How it is, at this moment."""
        core, state, at = self._core, self._core.state, self._clock.now()
        return Status(
            ready=self._ready,
            waiting_for=core.why_not_ready(at),
            freshness=core.freshness(at),
            age=core.age(at),
            head=core.head,
            known_head=core.known_head,
            alarms=tuple(sorted(alarm.value for alarm in core.alarms)),
            counters=dict(core.counters + self._refusals),
            sources={name: intake.status for name, intake in self._intakes.items()},
            denied=0 if state is None else len(state.denied),
            cutoffs=0 if state is None else len(state.cutoffs),
            narrowings=0 if state is None else len(state.narrowings),
            keys=len(core.keys),
            remembered=len(self._memory),
            live=len(self._watch),
            persisted=None if self._keeper is None else self._keeper.status,
        )

    def changes(self) -> AsyncIterator[Record]:
        """The records applied from now on, in feed order.

        Raises:
            Missed: while iterating, if the reader falls too far behind, or a snapshot took the place of records.
        """
        return self._watchers.changes()

    async def wait_for(self, position: Position, timeout: float) -> bool:
        """Wait until ``position`` is applied, at most ``timeout`` seconds. Whether it was."""
        head = self._core.head
        if head is not None and head.position >= position:
            return True
        return await self._watchers.wait_for(position, timeout)
