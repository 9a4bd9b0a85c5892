"""Heartbeats: signed statements "at time *t* the head was *h*".

Everything a verifier believes about being up to date rests on the order of three steps:

1. read the clock;
2. give every intent that is committed by now its place in the feed, which reads the fence; then read the committed
   head;
3. sign both.

A revocation committed before ``iat`` is then at or below the head: it was placed already or is placed in step 2. Read
the other way round, a revocation committed between head and clock would be vouched for and missing. If the database
cannot be read there is no heartbeat: silence is what makes verifiers stop trusting.

Who has lost the lease signs none: step 2 ends it. Should it be lost after that, what is signed is true all the same: at
``iat``, everything that was committed was at or below that head.
"""

import asyncio
import logging
from collections.abc import Callable
from hashlib import sha256

from ostraka_consumers.clock import Clock
from ostraka_schemas import base64url
from ostraka_schemas.records import Head, sign_heartbeat

from ..errors import FeedError, LeaseLost, StoreUnavailable
from .follower import Beat
from .log import FeedLog
from .regime import Regime
from .sequencer import Sequencer

logger = logging.getLogger(__name__)


class Heart:
    """Beats at a fixed interval, and at once when asked to.

    Args:
        sequencer: settles what is committed.
        log: tells the committed head.
        regime: tells what is in force.
        issuer: ``iss``.
        clock: tells ``iat``.
        interval: seconds between beats.
        beaten: called with each heartbeat.
    """

    def __init__(
        self,
        sequencer: Sequencer,
        log: FeedLog,
        regime: Callable[[], Regime],
        *,
        issuer: str,
        clock: Clock,
        interval: float,
        beaten: Callable[[Beat], None],
    ) -> None:
        self._sequencer = sequencer
        self._log = log
        self._regime = regime
        self._issuer = issuer
        self._clock = clock
        self._interval = interval
        self._beaten = beaten
        self._now = asyncio.Event()
        self.trouble: str | None = None

    def keep_within(self, interval: float) -> None:
        """Beat at least so often: the root document promises it."""
        self._interval = min(self._interval, interval)

    def beat_now(self) -> None:
        """Do not wait for the interval to pass: somebody was without news."""
        self._now.set()

    async def run(self) -> None:
        """Beat until cancelled, the first time at once.

        Raises:
            LeaseLost: another process writes the feed.
        """
        while True:
            self._now.clear()
            await self._try()
            try:
                async with asyncio.timeout(self._interval):
                    await self._now.wait()
            except TimeoutError:
                continue

    async def _try(self) -> None:
        try:
            beat = await self.make()
        except LeaseLost:
            raise
        except (StoreUnavailable, FeedError) as error:
            self.trouble = str(error)
            logger.error("no heartbeat: %s", error)
            return
        self.trouble = None
        if beat is not None:
            self._beaten(beat)

    async def make(self) -> Beat | None:
        """Make one heartbeat, or ``None`` while the feed has no record yet.

        Also ``None`` if a root document came into force meanwhile: it asks for a heartbeat of its own.

        Raises:
            StoreUnavailable: the committed head cannot be told.
            FeedError: intents that were committed by now cannot all be placed.
            LeaseLost: another process writes the feed.
        """
        at = int(self._clock.now().wall)  # first: see above
        await self._sequencer.settle()
        regime = self._regime()
        head = await self._log.head()
        if head is None or self._regime() is not regime:
            return None
        return Beat(head, sign_heartbeat(regime.key, iss=self._issuer, iat=at, jti=heartbeat_id(head, at), head=head))


def heartbeat_id(head: Head, at: int) -> str:
    """``jti`` of the heartbeat of ``head`` at ``at``: two of the same second and head are the same statement."""
    return base64url.encode(sha256(f"ostraka:heartbeat:{head.position}:{at}".encode()).digest()[:16]).decode()
