"""What really happened, whoever knows of it: changes, heartbeats, tokens, and what a thief signed."""

from dataclasses import dataclass, field
from typing import NamedTuple

from ostraka_schemas.records import Head, Position, record_hash

from .roots import Root


@dataclass(eq=False)
class Change:
    """Something the issuer committed.

    Attributes:
        kind: ``root``, ``keys``, ``subject``, ``session``, ``client``, ``everyone``, ``token``, ``tokens``,
            ``permission``, ``narrow``.
        who: whom it is about.
        what: what remains (``narrow``), when it ends (``token``), or the key states as ``number:state`` (``keys``).
        at: the true time of the commit.
        root: the root document that it publishes.
        position, raw, signer: once it is sequenced; the number of the feed key that signed it.
    """

    kind: str
    who: str
    what: tuple[str, ...]
    at: float
    root: Root | None = None
    position: Position | None = None
    raw: bytes = b""
    signer: int = 0

    def __str__(self) -> str:
        where = "" if self.position is None else f"{self.position} "
        return f"{where}{self.kind} {self.who}{'[' + ' '.join(self.what) + ']' if self.what else ''}".rstrip()


class Beat(NamedTuple):
    """A signed heartbeat. ``at`` is the true time at which it was signed, ``signer`` the number of the feed key."""

    iat: int
    head: Head
    at: float
    signer: int


class Part(NamedTuple):
    """A signed part of a snapshot; ``root`` is the version of the root document in force at its head."""

    iat: int
    head: Head
    part: int
    parts: int
    signer: int
    root: int


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
class Stolen:
    """What a thief signed with the feed key: by its bytes, with the number of the key."""

    records: dict[bytes, tuple[Head, int]] = field(default_factory=dict)
    beats: dict[bytes, Beat] = field(default_factory=dict)
    parts: dict[bytes, Part] = field(default_factory=dict)


@dataclass
class Truth:
    """Everything that was signed.

    Attributes:
        changes: what was committed, in order.
        records, beats, parts, roots: what the issuer signed, by its bytes.
        hashes: of its records, by their position.
        named: each root document, by version.
        forged_roots: the versions that root documents of a thief claim to be, by their bytes.
        sent: the issuer's records in the order in which they left it.
        slip: the most by which the issuer's clock was ahead when it signed a heartbeat.
    """

    changes: list[Change] = field(default_factory=list)
    records: dict[bytes, Change] = field(default_factory=dict)
    beats: dict[bytes, Beat] = field(default_factory=dict)
    parts: dict[bytes, Part] = field(default_factory=dict)
    roots: dict[bytes, Root] = field(default_factory=dict)
    hashes: dict[Position, bytes] = field(default_factory=dict)
    named: dict[int, Root] = field(default_factory=dict)
    forged_roots: dict[bytes, int] = field(default_factory=dict)
    stolen: Stolen = field(default_factory=Stolen)
    tokens: list[Minted] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    slip: float = 0.0

    def add(self, change: Change, root: Root) -> None:
        """Take note of a change that was given its place and signed under ``root``."""
        assert change.position is not None
        change.signer = root.feed[-1]
        self.named[root.version] = root
        self.records[change.raw] = change
        self.hashes[change.position] = record_hash(change.raw)

    @property
    def signed_until(self) -> int:
        """The latest time that any heartbeat of the issuer names."""
        return max((beat.iat for beat in self.beats.values()), default=0)
