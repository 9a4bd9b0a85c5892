"""What became of bytes that were handed to the trust core."""

from enum import StrEnum
from typing import NamedTuple

from ostraka_schemas.records import Record


class Outcome(StrEnum):
    """The six ends that bytes can come to."""

    APPLIED = "applied"
    HEARTBEAT = "heartbeat"
    DUPLICATE = "duplicate"
    HELD = "held"
    REFUSED = "refused"
    EQUIVOCATION = "equivocation"


class Receipt(NamedTuple):
    """The outcome, why (for refusals, a short machine name), and the records whose turn came, in feed order."""

    outcome: Outcome
    reason: str | None = None
    applied: tuple[Record, ...] = ()
