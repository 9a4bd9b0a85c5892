"""Alarms are part of the play; nobody needs to read them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unheard() -> Iterator[None]:
    """While this lasts, nothing of ours is logged."""
    logger = logging.getLogger("ostraka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
