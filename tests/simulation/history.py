"""What happened, as it was seen: one line for each thing that came to a verifier or was asked of it."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ostraka_consumers.clock import Instant
from ostraka_schemas.records import Head, Position

from .nature import Nature
from .truth import Minted, Truth


class Look(NamedTuple):
    """A verifier's own words about itself.

    ``root`` is the version of the newest root document it knows, ``in_force`` that of the one in force.
    """

    ready: bool
    freshness: str
    head: Head | None
    known: Position | None
    alarms: frozenset[str]
    counted: int
    root: int
    in_force: int

    @property
    def roots(self) -> range:
        """The versions from the one in force to the newest."""
        return range(self.in_force, self.root + 1)

    @property
    def position(self) -> Position:
        """How far the feed is applied; before everything, if nothing is."""
        return Position(0, 0) if self.head is None else self.head.position


@dataclass(slots=True)
class Seen:
    """One thing that happened to a verifier.

    Attributes:
        step: which step of the schedule; one beyond the last for the healing.
        t: the true time, in seconds since the schedule began.
        who, life: which verifier, and how often it was started before.
        error: seconds by which its wall clock was ahead of the true time.
        at: its clocks.
        now, vouched, known: the time it should judge by, the newest moment it may vouch for, the furthest position it
            has been shown; worked out by ``Ear``, which shares no code with it.
        stepped: somebody set its wall clock in this life.
        tainted: something signed by a thief with the feed key came to it in this life, and no new epoch since.
        pin: how far it was in an earlier life, as far as its disk knows.
        signed: the latest time that a heartbeat named in this life: of what ended before, nothing need be known.
        set_back: its wall clock was ahead in this life and is no more: it stays with the later time, until a restart.
        look: what it says of itself, afterwards.
    """

    what: Literal["start", "delivery", "decision", "look"]
    step: int
    t: float
    who: int
    life: int
    error: float
    at: Instant
    now: float
    vouched: int | None
    known: Position
    stepped: bool
    tainted: bool
    pin: Position | None
    signed: int
    set_back: bool
    look: Look


@dataclass(slots=True)
class Delivery(Seen):
    """Bytes were handed to it.

    Attributes:
        kind: what they really were.
        counted: by how much its counters grew.
        unchanged: for bad ones, whether everything that decisions rest on is as it was.
        ahead: it is a heartbeat from the future.
        before: what it said of itself before.
    """

    raw: bytes
    kind: Nature
    outcome: str
    reason: str | None
    counted: int
    unchanged: bool
    ahead: bool
    before: Look


@dataclass(slots=True)
class Decision(Seen):
    """A token was presented.

    Attributes:
        limit: seconds without news that the caller bears.
        said: ``ok``, or the code of the refusal.
        allowed: the permissions that were asked for and granted.
        before: what it said of itself before.
    """

    token: Minted
    limit: float
    said: str
    allowed: tuple[str, ...]
    before: Look


@dataclass
class History:
    """Everything that was seen, and the truth to hold it against.

    Attributes:
        hold: how many records a verifier may hold that came before their turn.
        patience: ``max_staleness``.
        end: the issuer's head after the healing.
        healed: for each verifier, the last look at it after the healing.
    """

    truth: Truth
    hold: int
    patience: float
    verifiers: int
    seen: list[Seen] = field(default_factory=list)
    end: Head | None = None
    healed: dict[int, Seen] = field(default_factory=dict)
