"""Snapshots: the whole state of the feed at a head, signed, in parts, so that a newcomer can skip history.

A part is a Security Event Token like a heartbeat: outside the chain, about a head. Its state may hold any share of each
list; the state at the head is all parts together, in whatever order they come. Only the key set stands in one part as a
whole. Denied tokens are 128-bit numbers, 16 bytes each, gathered by the time until which they are kept.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, FailFast, Field

from . import base64url, jws, strict_json
from .errors import MalformedError
from .events import OURS, PublishedKey
from .jwk import SigningKey
from .limits import PERMISSIONS_MAX, SEQ_MAX, SNAPSHOT_PART_MAX_BYTES, SNAPSHOT_PARTS_MAX, TOKEN_KEYS_MAX
from .model import Count, Identifier, NumericDate, Sha256, Text, WireModel, validated
from .permissions import Permission
from .records import Head, HeadClaim, Heartbeat, Position, Record, read_members

SNAPSHOT: Final = OURS + "snapshot"
NUMBER_BYTES: Final = 16

_ROOM: Final = SNAPSHOT_PART_MAX_BYTES * 3 // 4 - 2_048
"""Bytes of state that fit into one part: base64url makes four of three, and the envelope needs a little."""

_NUMBERS_AT_ONCE: Final = 1_024

Level = Literal["issuer", "client", "subject", "session"]


class _Strict(WireModel):
    # A member that this reader does not know could be a revocation: such a part is not understood, so not taken.
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


class Entry(_Strict):
    """What every remembered thing has: the position and time of the record it came with, and until when it is kept."""

    epoch: Count
    seq: Annotated[int, Field(ge=0, le=SEQ_MAX)]
    iat: NumericDate
    until: NumericDate


class CutoffEntry(Entry):
    """Tokens of one holder that are older than the position are dead."""

    level: Level
    id: Text


class RemainingEntry(Entry):
    """Older tokens of one holder keep at most these permissions."""

    level: Level
    id: Text
    permissions: Annotated[list[Permission], Field(max_length=PERMISSIONS_MAX)]


class RevokedEntry(Entry):
    """Older tokens of everyone lost what this pattern covers."""

    permission: Permission


class Denied(_Strict):
    """Token numbers, 16 bytes each and base64url, kept at least until ``until``."""

    until: NumericDate
    numbers: str


class SnapshotState(_Strict):
    """A share of the state. ``keys`` stands in one part only; ``latest_iat`` is that of the newest record.

    The first wrong entry of a list decides: of thousands nobody would read the rest.
    """

    latest_iat: NumericDate
    keys: Annotated[list[PublishedKey], Field(max_length=TOKEN_KEYS_MAX)] | None = None
    compromised: Annotated[list[Sha256], FailFast()] = Field(default_factory=list)
    cutoffs: Annotated[list[CutoffEntry], FailFast()] = Field(default_factory=list)
    remaining: Annotated[list[RemainingEntry], FailFast()] = Field(default_factory=list)
    revoked: Annotated[list[RevokedEntry], FailFast()] = Field(default_factory=list)
    denied: Annotated[list[Denied], FailFast()] = Field(default_factory=list)


class _PartObject(_Strict):
    root_version: Count
    part: Annotated[int, Field(ge=1, le=SNAPSHOT_PARTS_MAX)]
    parts: Annotated[int, Field(ge=1, le=SNAPSHOT_PARTS_MAX)]
    state: SnapshotState


class SnapshotPayload(WireModel):
    """The payload of a part as it is written."""

    iss: Identifier
    iat: NumericDate
    jti: Identifier
    events: Annotated[dict[str, dict[str, Any]], Field(min_length=1, max_length=1)]
    feed: HeadClaim


@dataclass(frozen=True, slots=True)
class SnapshotPart:
    """A part that was read. Whether it may be believed is the trust core's question.

    Attributes:
        root_version: of the root document that was in force at the head; whoever takes the snapshot needs it first.
        part: counts from 1.
    """

    iss: str
    iat: int
    jti: str
    head: Head
    root_version: int
    part: int
    parts: int
    state: SnapshotState


FeedContent = Record | Heartbeat | SnapshotPart
"""Everything that the feed says in a compact JWS."""


@dataclass(slots=True)
class Contents:
    """A whole state, before it is cut into parts."""

    latest_iat: int
    keys: list[PublishedKey]
    compromised: list[str]
    cutoffs: Iterable[CutoffEntry] = ()
    remaining: Iterable[RemainingEntry] = ()
    revoked: Iterable[RevokedEntry] = ()
    denied: Iterable[tuple[int, Sequence[int]]] = field(default=())
    """Pairs of ``until`` and the numbers."""


def read_payload(payload: bytes) -> FeedContent:
    """Read the payload of any JWS of the feed.

    Raises:
        MalformedError: none of the three.
    """
    members = strict_json.loads_object(payload)
    events = members.get("events")
    if isinstance(events, dict) and SNAPSHOT in events:
        return read_part(members)
    return read_members(members)


def read_part(members: dict[str, Any]) -> SnapshotPart:
    """Read the payload of a snapshot part.

    Raises:
        MalformedError: not one, or with state that this reader does not understand.
    """
    body = validated(lambda: SnapshotPayload.model_validate(members), "snapshot part")
    content = validated(lambda: _PartObject.model_validate(body.events.get(SNAPSHOT)), "snapshot part")
    if content.part > content.parts:
        raise MalformedError(f"part {content.part} of {content.parts}")
    return SnapshotPart(
        iss=body.iss,
        iat=body.iat,
        jti=body.jti,
        head=Head(Position(body.feed.epoch, body.feed.seq), base64url.decode_text(body.feed.hash)),
        root_version=content.root_version,
        part=content.part,
        parts=content.parts,
        state=content.state,
    )


def read_denied(denied: Denied) -> bytes:
    """The token numbers of an entry, one after the other; ``numbers_in`` takes them apart.

    Raises:
        MalformedError: not a whole count of numbers in base64url.
    """
    data = base64url.decode_text(denied.numbers)
    if len(data) % NUMBER_BYTES:
        raise MalformedError("token numbers have 16 bytes each")
    return data


def numbers_in(data: bytes) -> Iterator[int]:
    """The token numbers that ``read_denied`` gave."""
    whole = int.from_bytes
    return (whole(data[at : at + NUMBER_BYTES]) for at in range(0, len(data), NUMBER_BYTES))


def sign_part(
    key: SigningKey,
    *,
    iss: str,
    iat: int,
    jti: str,
    head: Head,
    root_version: int,
    part: int,
    parts: int,
    state: SnapshotState,
) -> bytes:
    """Make the bytes of a part.

    Raises:
        MalformedError: longer than a verifier would read.
    """
    epoch, seq = head.position
    payload = {
        "iss": iss,
        "iat": iat,
        "jti": jti,
        "events": {
            SNAPSHOT: {
                "root_version": root_version,
                "part": part,
                "parts": parts,
                "state": state.model_dump(mode="json", exclude_defaults=True),
            }
        },
        "feed": {"epoch": epoch, "seq": seq, "hash": base64url.encode(head.hash).decode()},
    }
    return jws.sign(strict_json.dumps(payload), key, typ=jws.TYP_EVENT, max_bytes=SNAPSHOT_PART_MAX_BYTES)


def cut(contents: Contents) -> Iterator[SnapshotState]:
    """Cut a state into shares that fit into a part each; at least one. Lazy: the caller may pause between two.

    Raises:
        MalformedError: more than ``SNAPSHOT_PARTS_MAX`` parts.
    """
    latest = contents.latest_iat
    share = _Share(latest, keys=contents.keys, compromised=contents.compromised)
    count = 1
    for name, entry in _entries(contents):
        size = len(strict_json.dumps(entry.model_dump(mode="json"))) + 1
        if size > share.room:
            yield share.state()
            share, count = _Share(latest), count + 1
            if count > SNAPSHOT_PARTS_MAX:
                raise MalformedError(f"a snapshot of more than {SNAPSHOT_PARTS_MAX} parts")
        share.add(name, entry, size)
    yield share.state()


def _entries(contents: Contents) -> Iterator[tuple[str, _Strict]]:
    for name in ("cutoffs", "remaining", "revoked"):
        for entry in getattr(contents, name):
            yield name, entry
    for until, numbers in contents.denied:
        for at in range(0, len(numbers), _NUMBERS_AT_ONCE):
            data = b"".join(number.to_bytes(NUMBER_BYTES) for number in numbers[at : at + _NUMBERS_AT_ONCE])
            yield "denied", Denied(until=until, numbers=base64url.encode(data).decode())


class _Share:
    def __init__(self, latest_iat: int, **members: Any) -> None:
        self._members: dict[str, Any] = {"latest_iat": latest_iat, **members}
        head = SnapshotState.model_validate(self._members)
        self.room = _ROOM - len(strict_json.dumps(head.model_dump(mode="json")))

    def add(self, name: str, entry: _Strict, size: int) -> None:
        self._members.setdefault(name, []).append(entry)
        self.room -= size

    def state(self) -> SnapshotState:
        return SnapshotState.model_validate(self._members)
