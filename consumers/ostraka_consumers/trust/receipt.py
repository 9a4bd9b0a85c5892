"""What became of bytes that were handed to the trust core, and which of them have led to its state."""

from enum import Enum, StrEnum, auto
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


class Kind(Enum):
    """What changed the state."""

    ROOT = auto()
    SNAPSHOT = auto()
    RECORD = auto()


class Taken(NamedTuple):
    """Signed bytes that took effect. Whoever takes the same in the same order comes to the same state.

    Attributes:
        raws: a root document as it travels alone; a record; or all parts of a snapshot and, last, a heartbeat that has
            spoken of its head or of a later one.
        position: of the record, or the head of the snapshot.
    """

    kind: Kind
    raws: tuple[bytes, ...]
    position: Position | None = None
