"""What somebody who owns the bus, but has no key, puts there; and what a thief of the feed key does."""

from collections.abc import Callable
from random import Random
from typing import Final

from ostraka_schemas import jws, strict_json
from ostraka_schemas.events import Event, IssuerCutoff, KeySetChanged, PermissionRevoked, RootPublished
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.records import GENESIS, Head, Position, record_hash, sign_heartbeat, sign_record
from ostraka_schemas.root import root_bytes
from ostraka_schemas.snapshots import SnapshotState, sign_part
from tests.support.forging import forge

from .issuer import Issuer
from .names import ISSUER, key
from .roots import Root, signed
from .truth import Beat, Part
from .wording import EVERYONE, published_key


def _record(issuer: Issuer, signer: SigningKey, event: Event, head: Head | None, *, iss: str = ISSUER) -> bytes:
    epoch, seq = (1, 0) if head is None else head.position
    return sign_record(
        signer,
        iss=iss,
        iat=issuer.now,
        jti=issuer.new_id(),
        txn="t",
        position=Position(epoch, seq + 1),
        prev=GENESIS if head is None else head.hash,
        subject=EVERYONE,
        event=event,
    )


def _own_root(issuer: Issuer) -> bytes:
    document = Root(1, 1, 90, (99,))
    return _record(issuer, key("feed 99"), RootPublished(**signed(document, document.root_names[:2])), None)


def forged_root(issuer: Issuer, number: int) -> tuple[bytes, int]:
    """A root document that names the thief's feed key, and the version it claims to be."""
    current = issuer.root
    version = current.version + (1, 1, 1, 0, 7)[number // 3 % 5]
    epoch = current.epoch + number % 2
    if number % 3 == 0:
        root = Root(version, epoch, 90, (99,))  # keys of his own
        signers = root.root_names[:2]
    elif number % 3 == 1 or current.version == 1:
        root = Root(version, epoch, current.first, (99,))  # one of the true keys, and one of his own
        signers = (root.root_names[number % 2], "root 90")
    else:
        root = Root(version, epoch, current.first, (99,))  # two keys of which at least one is retired
        signers = ("root 1", "root 2") if current.first > 1 else ("root 1", "root 90")
    return root_bytes(signed(root, signers)), version


def _unsigned(issuer: Issuer) -> bytes:
    header = {"alg": "none", "kid": key(issuer.root.feed_name).kid, "typ": jws.TYP_EVENT}
    return forge(header, {"iss": ISSUER, "iat": issuer.now})


def _borrowed_signature(issuer: Issuer) -> bytes:
    good = issuer.feed[-1].split(b".")
    other = _record(issuer, key(issuer.root.feed_name), IssuerCutoff(), issuer.head).split(b".")
    return b".".join((other[0], other[1], good[2]))


def _under_the_keys_name(issuer: Issuer) -> bytes:
    event = PermissionRevoked(permission="*:*")
    good = _record(issuer, key(issuer.root.feed_name), event, issuer.head).split(b".")
    return b".".join((good[0], good[1], _record(issuer, key("thief"), event, issuer.head).split(b".")[2]))


def _heartbeat(issuer: Issuer, signer: SigningKey) -> bytes:
    far = Head(Position(issuer.root.epoch, len(issuer.feed) + 7), bytes(32))
    return sign_heartbeat(signer, iss=ISSUER, iat=issuer.now, jti=issuer.new_id(), head=far)


def _own_keys(issuer: Issuer) -> bytes:
    return _record(issuer, key("thief"), KeySetChanged(keys=[published_key("thief", "active")]), issuer.head)


Rogue = Callable[[Issuer, Random], bytes]
ROGUES: Final[dict[str, Rogue]] = {
    "rubbish": lambda issuer, dice: dice.randbytes(dice.randrange(200)),
    "nothing": lambda issuer, dice: b"",
    "something too long": lambda issuer, dice: b"A" * 65_537,
    "JSON": lambda issuer, dice: strict_json.dumps({"iss": ISSUER, "seq": 1}),
    "an unsigned record": lambda issuer, dice: _unsigned(issuer),
    "a record signed by an unknown key": lambda issuer, dice: _record(
        issuer, key("thief"), IssuerCutoff(), issuer.head
    ),
    "a record signed by a token key": lambda issuer, dice: _record(issuer, key("token 1"), IssuerCutoff(), issuer.head),
    "a record signed by the root key": lambda issuer, dice: _record(issuer, key("root 2"), IssuerCutoff(), issuer.head),
    "a record of another issuer": lambda issuer, dice: _record(
        issuer, key(issuer.root.feed_name), IssuerCutoff(), issuer.head, iss="https://other.example"
    ),
    "a record with a borrowed signature": lambda issuer, dice: _borrowed_signature(issuer),
    "a record signed by a thief under the key's name": lambda issuer, dice: _under_the_keys_name(issuer),
    "a heartbeat of a thief": lambda issuer, dice: _heartbeat(issuer, key("thief")),
    "a key set of a thief": lambda issuer, dice: _own_keys(issuer),
    "a root document of a thief": lambda issuer, dice: _own_root(issuer),
    "a token": lambda issuer, dice: jws.sign(b'{"iss":"x"}', key("token 1"), typ=jws.TYP_ACCESS_TOKEN, max_bytes=999),
}


def flipped(raw: bytes, number: int) -> bytes:
    """The same bytes but for one bit."""
    if not raw:
        return b"\x00"
    at, bit = number // 8 % len(raw), 1 << number % 8
    return raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :]


def truncated(raw: bytes, number: int) -> bytes:
    """The beginning of the same bytes."""
    return raw[: number % len(raw)] if raw else b"\x00"


# --- with the first feed key in hand ---

STOLEN: Final = 1


def stolen_record(issuer: Issuer, head: Head, number: int) -> tuple[bytes, Head]:
    """A record that follows ``head`` and never was the issuer's; and the head after it."""
    events: tuple[Event, ...] = (
        PermissionRevoked(permission="reports:read"),
        KeySetChanged(keys=[published_key("thief", "active")]),
        IssuerCutoff(),
        RootPublished(
            **signed(Root(issuer.root.version + 1, head.position.epoch, 90, (STOLEN,)), ("root 90", "root 91"))
        ),
    )
    raw = _record(issuer, key("feed 1"), events[number % 4], head)
    return raw, Head(Position(head.position.epoch, head.position.seq + 1), record_hash(raw))


def stolen_heartbeat(issuer: Issuer, head: Head, iat: int) -> tuple[bytes, Beat]:
    """A heartbeat that says what the thief wants to be believed."""
    raw = sign_heartbeat(key("feed 1"), iss=ISSUER, iat=iat, jti=issuer.new_id(), head=head)
    return raw, Beat(iat, head, issuer.time.now, STOLEN)


def stolen_part(issuer: Issuer, head: Head) -> tuple[bytes, Part]:
    """A snapshot in which nothing is revoked and the thief's key signs tokens."""
    state = SnapshotState(latest_iat=issuer.now, keys=[published_key("thief", "active")])
    raw = sign_part(
        key("feed 1"),
        iss=ISSUER,
        iat=issuer.now,
        jti=issuer.new_id(),
        head=head,
        root_version=1,
        part=1,
        parts=1,
        state=state,
    )
    return raw, Part(issuer.now, head, 1, 1, STOLEN, 1)
