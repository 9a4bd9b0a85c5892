"""When the root document must be renewed: past its end no verifier believes the feed any more."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from ostraka_consumers.clock import Clock
from ostraka_schemas.root import RootDocument

from ..limits import ROOT_LOOK, ROOT_WARNING
from .regime import InForce

logger = logging.getLogger(__name__)

_DAY: Final = 24 * 3_600


def ends_at(root: RootDocument) -> int:
    """When verifiers stop believing what is signed under ``root``, in seconds since the epoch."""
    return min(root.exp, root.feed.exp)


def warning(root: RootDocument | None, now: float) -> str | None:
    """What to say of a root document that ends within ``ROOT_WARNING`` or has ended; else ``None``."""
    if root is None or ends_at(root) - now > ROOT_WARNING:
        return None
    what = "the root document" if root.exp <= root.feed.exp else "the feed key"
    end = datetime.fromtimestamp(ends_at(root), UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    if ends_at(root) < now:
        return f"{what} ended at {end}: every verifier refuses; now: ostraka root new, sign, publish"
    days = int((ends_at(root) - now) // _DAY)
    return f"{what} ends at {end}, in {days} days, and then every verifier refuses; in time: ostraka root new"


class Calendar:
    """Looks at the time now and then, and warns in the log, once a day.

    Args:
        in_force: tells what is in force.
        clock: tells the time.
    """

    def __init__(self, in_force: Callable[[], InForce], clock: Clock) -> None:
        self._in_force = in_force
        self._clock = clock
        self._said_at = -float("inf")

    def look(self) -> str | None:
        """The warning that is due, which is written to the log if it was not today."""
        now = self._clock.now().wall
        said = warning(self._in_force().root, now)
        if said is not None and now - self._said_at >= _DAY:
            self._said_at = now
            logger.warning("%s", said)
        return said

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(ROOT_LOOK)
