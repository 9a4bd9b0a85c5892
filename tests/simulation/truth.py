"""What really happened, whoever knows of it: changes, heartbeats, tokens, and what a thief signed."""

from dataclasses import dataclass, field
from typing import NamedTuple

from ostraka_schemas.records import Head, Position


@dataclass(eq=False)
class Change:
    """Something the issuer committed.

    Attributes:
        kind: ``root``, ``keys``, ``subject``, ``session``, ``client``, ``everyone``, ``token``, ``tokens``,
            ``permission``, ``narrow``.
        who: whom it is about.
        what: what remains (``narrow``), or the key states as ``number:state`` (``keys``).
        at: the true time of the commit.
        position, raw: once it is sequenced.
    """

    kind: str
    who: str
    what: tuple[str, ...]
    at: float
    position: Position | None = None
    raw: bytes = b""

    def __str__(self) -> str:
        where = "" if self.position is None else f"{self.position} "
        return f"{where}{self.kind} {self.who}{'[' + ' '.join(self.what) + ']' if self.what else ''}".rstrip()


class Beat(NamedTuple):
    """A signed heartbeat. ``at`` is the true time at which it was signed."""

    iat: int
    head: Head
    at: float


@dataclass(eq=False)
class Minted:
    """A token. ``wrong`` says what is wrong with it: then nobody may ever accept it."""

    text: str
    jti: str
    sid: str
    sub: str
    client: str
    permissions: tuple[str, ...]
    key: int
    fv: Position
    iat: int
    exp: int
    at: float
    wrong: str = ""
    number: int = 0

    def __str__(self) -> str:
        return f"token {self.number}" + (f" ({self.wrong})" if self.wrong else "")


@dataclass
class Truth:
    """Everything that was signed.

    Attributes:
        changes: what was committed, in order.
        records, beats: what the issuer signed, by its bytes.
        hashes: of its records, by their position.
        stolen: what a thief signed with the feed key, by its bytes: where it claims to stand and the hash it claims.
        sent: the issuer's records in the order in which they left it.
        slip: the most by which the issuer's clock was ahead when it signed a heartbeat.
    """

    changes: list[Change] = field(default_factory=list)
    records: dict[bytes, Change] = field(default_factory=dict)
    hashes: dict[Position, bytes] = field(default_factory=dict)
    beats: dict[bytes, Beat] = field(default_factory=dict)
    stolen: dict[bytes, Head] = field(default_factory=dict)
    stolen_beats: dict[bytes, Beat] = field(default_factory=dict)
    tokens: list[Minted] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    slip: float = 0.0

    @property
    def signed_until(self) -> int:
        """The latest time that any signed heartbeat names."""
        return max((beat.iat for beats in (self.beats, self.stolen_beats) for beat in beats.values()), default=0)
