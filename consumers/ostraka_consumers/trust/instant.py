"""A reading of the clocks, handed to the trust core by whoever has clocks."""

from typing import NamedTuple


class Instant(NamedTuple):
    """``wall`` in seconds since the epoch, ``monotonic`` in seconds since anything."""

    wall: float
    monotonic: float
