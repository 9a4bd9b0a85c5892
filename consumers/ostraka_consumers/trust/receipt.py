"""What became of bytes that were handed to the trust core."""

from enum import StrEnum
from typing import NamedTuple

from ostraka_schemas.records import Position, Record


class Outcome(StrEnum):
    """The ends that bytes can come to."""

    APPLIED = "applied"
    HEARTBEAT = "heartbeat"
    SNAPSHOT = "snapshot"
    ROOT = "root"
    DUPLICATE = "duplicate"
    HELD = "held"
    REFUSED = "refused"
    EQUIVOCATION = "equivocation"


class Receipt(NamedTuple):
    """What became of the bytes.

    Attributes:
        reason: why, for refusals and some duplicates; a short machine name.
        applied: the records whose turn came, in feed order.
        position: for what is authentic: where the record stands, or the head that was spoken of.
        heard: for an authentic heartbeat, its ``iat``.
    """

    outcome: Outcome
    reason: str | None = None
    applied: tuple[Record, ...] = ()
    position: Position | None = None
    heard: int | None = None
