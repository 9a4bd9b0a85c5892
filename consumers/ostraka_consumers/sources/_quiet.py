"""What aiokafka logs about a cluster that is away: the same lines at every attempt, for as long as it lasts.

A source says once what is wrong, and once when it is over. Whoever wants to read the library's lines all the same sets
the logger ``ostraka.sources.kafka`` to DEBUG. Other clients in the same process are not touched.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

# The tasks that a client starts inherit it.
_inside: Final[ContextVar[bool]] = ContextVar("ostraka_kafka_source", default=False)
_ours: Final = logging.getLogger("ostraka.sources.kafka")


class _Quiet(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not _inside.get() or record.levelno >= logging.CRITICAL or _ours.isEnabledFor(logging.DEBUG)


_quiet: Final = _Quiet()


@contextmanager
def quiet_client() -> Iterator[None]:
    """What aiokafka logs in here, or in a task that was started in here, is dropped."""
    # A filter holds for one logger only, not for those below it.
    for name in tuple(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "aiokafka":
            logging.getLogger(name).addFilter(_quiet)
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)
