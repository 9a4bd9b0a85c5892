"""Feed records and heartbeats: Security Event Tokens (RFC 8417) with a place in a chain.

A record says where it stands (``epoch``, ``seq``) and what stood before it (``prev``, the hash of the previous record's
bytes). A heartbeat stands outside the chain and says what its head was at ``iat``.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Final, NamedTuple

from pydantic import Field

from . import base64url, jws, strict_json
from .errors import MalformedError
from .events import OURS, Event, UnknownEvent, read_event
from .jwk import SigningKey
from .limits import RECORD_MAX_BYTES
from .model import Count, Identifier, NumericDate, Sha256, WireModel, validated
from .subjects import SubjectIdentifier

HEARTBEAT: Final = OURS + "heartbeat"
GENESIS: Final = bytes(32)
"""``prev`` of the first record of an epoch: there is nothing before it."""


class Position(NamedTuple):
    """A place in the feed. Positions compare in feed order."""

    epoch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"


class Head(NamedTuple):
    """The newest record: where it stands and the hash of its bytes."""

    position: Position
    hash: bytes

    def __str__(self) -> str:
        return f"{self.position} {base64url.encode(self.hash).decode()[:12]}"


class Link(WireModel):
    """``feed`` of a record."""

    epoch: Count
    seq: Count
    prev: Sha256


class HeadClaim(WireModel):
    """``feed`` of a heartbeat: the head at ``iat``."""

    epoch: Count
    seq: Count
    hash: Sha256


Events = Annotated[dict[str, dict[str, Any]], Field(min_length=1, max_length=1)]


class RecordPayload(WireModel):
    """The payload of a feed record as it is written."""

    iss: Identifier
    iat: NumericDate
    jti: Identifier
    txn: Identifier
    sub_id: SubjectIdentifier
    events: Events
    feed: Link


class HeartbeatPayload(WireModel):
    """The payload of a heartbeat as it is written."""

    iss: Identifier
    iat: NumericDate
    jti: Identifier
    events: Events
    feed: HeadClaim


@dataclass(frozen=True, slots=True)
class Record:
    """A record that was read. Whether it may be believed is the trust core's question.

    Attributes:
        prev: hash of the previous record's bytes.
        event: what it says, or ``None`` if that breaks the rules of its kind; ``defect`` then says how.
    """

    iss: str
    iat: int
    jti: str
    txn: str
    position: Position
    prev: bytes
    subject: SubjectIdentifier
    event: Event | UnknownEvent | None
    defect: str | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A signed statement: at ``iat`` the head was ``head``."""

    iss: str
    iat: int
    jti: str
    head: Head


def record_hash(raw: bytes) -> bytes:
    """What the next record's ``prev`` must be: SHA-256 of the record's bytes as they travel."""
    return sha256(raw).digest()


def read_payload(payload: bytes) -> Record | Heartbeat:
    """Read the payload of a feed JWS.

    An event that breaks the rules of its kind does not make the record unreadable: its place in the chain still counts.

    Raises:
        MalformedError: not a record and not a heartbeat.
    """
    return read_members(strict_json.loads_object(payload))


def read_members(members: dict[str, Any]) -> Record | Heartbeat:
    """The same for a payload whose JSON was read.

    Raises:
        MalformedError: not a record and not a heartbeat.
    """
    events = members.get("events")
    if isinstance(events, dict) and HEARTBEAT in events:
        return _read_heartbeat(members)
    body = validated(lambda: RecordPayload.model_validate(members), "feed record")
    ((uri, object_),) = body.events.items()
    event: Event | UnknownEvent | None
    defect = None
    try:
        event = read_event(uri, object_, body.sub_id)
    except MalformedError as error:
        event, defect = None, str(error)
    return Record(
        iss=body.iss,
        iat=body.iat,
        jti=body.jti,
        txn=body.txn,
        position=Position(body.feed.epoch, body.feed.seq),
        prev=base64url.decode_text(body.feed.prev),
        subject=body.sub_id,
        event=event,
        defect=defect,
    )


def _read_heartbeat(members: dict[str, Any]) -> Heartbeat:
    body = validated(lambda: HeartbeatPayload.model_validate(members), "heartbeat")
    return Heartbeat(
        iss=body.iss,
        iat=body.iat,
        jti=body.jti,
        head=Head(Position(body.feed.epoch, body.feed.seq), base64url.decode_text(body.feed.hash)),
    )


def sign_record(
    key: SigningKey,
    *,
    iss: str,
    iat: int,
    jti: str,
    txn: str,
    position: Position,
    prev: bytes,
    subject: SubjectIdentifier,
    event: Event,
) -> bytes:
    """Make the bytes of a record. Equal arguments give equal bytes: Ed25519 is deterministic (RFC 8032 §5.1.6).

    Raises:
        MalformedError: longer than a verifier would read.
    """
    payload = {
        "iss": iss,
        "iat": iat,
        "jti": jti,
        "txn": txn,
        "sub_id": subject.model_dump(mode="json", exclude_none=True),
        "events": {event.uri: event.model_dump(mode="json", exclude_none=True)},
        "feed": {"epoch": position.epoch, "seq": position.seq, "prev": base64url.encode(prev).decode()},
    }
    return jws.sign(strict_json.dumps(payload), key, typ=jws.TYP_EVENT, max_bytes=RECORD_MAX_BYTES)


def sign_heartbeat(key: SigningKey, *, iss: str, iat: int, jti: str, head: Head) -> bytes:
    """Make the bytes of a heartbeat."""
    epoch, seq = head.position
    payload = {
        "iss": iss,
        "iat": iat,
        "jti": jti,
        "events": {HEARTBEAT: {}},
        "feed": {"epoch": epoch, "seq": seq, "hash": base64url.encode(head.hash).decode()},
    }
    return jws.sign(strict_json.dumps(payload), key, typ=jws.TYP_EVENT, max_bytes=RECORD_MAX_BYTES)
