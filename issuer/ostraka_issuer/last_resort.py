"""The end of a process whose orderly end does not come: what it waits for, such as a frozen database, may never answer.

Nothing is lost with it: what is committed is in the database, is placed and sent by whoever writes next, and a lease
that is not given back runs out.
"""

import logging
import os
import threading
from collections.abc import Callable

from .limits import STOP_MOST

logger = logging.getLogger("ostraka.issuer")


class LastResort:
    """Ends the process some time after it was told to end, whatever it is doing then.

    Args:
        seconds: how long it may take.
        end: called with the exit code. By default it ends the process without another word to anybody.
    """

    def __init__(self, seconds: float = STOP_MOST, end: Callable[[int], object] = os._exit) -> None:
        self._seconds = seconds
        self._end = end
        # A thread, as the event loop or an executor may be what does not end; it keeps no process from ending itself.
        self._timer = threading.Timer(seconds, self._cut_short)
        self._timer.daemon = True

    def begin(self) -> None:
        """The process was told to end. The second time has no effect."""
        if not self._timer.is_alive() and not self._timer.finished.is_set():
            self._timer.start()

    def cancel(self) -> None:
        """It has ended by itself."""
        self._timer.cancel()

    def _cut_short(self) -> None:
        logger.critical("ended without waiting any longer: not everything was closed within %g s", self._seconds)
        self._end(1)
