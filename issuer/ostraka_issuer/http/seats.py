"""A bound on how many are served at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from ostraka_issuer.errors import TooManyReaders


class Seats:
    """So many and no more.

    Args:
        number: how many.
    """

    def __init__(self, number: int) -> None:
        self._free = number

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a seat.

        Raises:
            TooManyReaders: none is free.
        """
        if self._free <= 0:
            raise TooManyReaders("more readers of the feed than this process holds at once")
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
