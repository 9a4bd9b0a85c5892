"""Is this really from the feed? Signature, type, key and limits first; nothing is remembered before that.

Whatever the feed says is signed by a feed key that the root document in force names. The one exception: a record that
brings a root document may be signed by a key that this document names, once the document itself was verified.
"""

from typing import Final, NamedTuple

from ostraka_schemas import base64url, jws
from ostraka_schemas.errors import MalformedError, WireError
from ostraka_schemas.events import RootPublished
from ostraka_schemas.limits import RECORD_MAX_BYTES, SNAPSHOT_PART_MAX_BYTES
from ostraka_schemas.records import Record
from ostraka_schemas.snapshots import FeedContent, SnapshotPart, read_payload

from .feedkeys import OVER
from .refused import Refused
from .roots import Roots, Verified

_ROOT_URI: Final = RootPublished.uri.encode()


class Authentic(NamedTuple):
    """What was verified; and, if it is a record that brings a root document not yet in force, that document."""

    content: FeedContent
    brings: Verified | None = None


def authenticate(raw: bytes, *, roots: Roots, issuer: str, now: float) -> Authentic:
    """Verify and read a record, a heartbeat or a part of a snapshot.

    Raises:
        Refused: not signed by a feed key that is in force, not readable, of another issuer or epoch.
    """
    compact, header = _envelope(raw)
    root = roots.in_force
    stranger = "no_root_yet" if root is None else "unknown_key"
    for keys in roots.keys_for(header.kid, now):
        if keys.are_over(now):
            stranger = OVER
            continue
        # The signature first: nothing of a stranger's is read further than its header.
        keys.check(compact, header, now)
        content = _content(compact, raw, issuer)
        if root is not None and _epoch(content) == root.epoch:
            return Authentic(content)
        stranger = "wrong_epoch"
        break
    record = _root_record(compact, raw, issuer)
    brings = None if record is None else roots.brought_by(record.event)
    if record is None or brings is None:
        raise Refused(stranger)
    brings.keys.check(compact, header, now)
    if _epoch(record.content) != brings.document.epoch:
        raise Refused("wrong_epoch")
    return Authentic(record.content, brings)


class _RootRecord(NamedTuple):
    content: Record
    event: RootPublished


def _root_record(compact: jws.Compact, raw: bytes, issuer: str) -> _RootRecord | None:
    """The record in there if it brings a root document. A cheap look first: strangers decide how often it is asked."""
    if len(raw) > RECORD_MAX_BYTES or _ROOT_URI not in _decoded(compact):
        return None
    content = _content(compact, raw, issuer)
    if not isinstance(content, Record) or not isinstance(content.event, RootPublished):
        return None
    return _RootRecord(content, content.event)


def _envelope(raw: bytes) -> tuple[jws.Compact, jws.Header]:
    try:
        compact = jws.split(raw, max_bytes=SNAPSHOT_PART_MAX_BYTES)
        return compact, jws.read_header(compact.header, typ=jws.TYP_EVENT)
    except MalformedError:
        raise Refused("malformed") from None


def _content(compact: jws.Compact, raw: bytes, issuer: str) -> FeedContent:
    try:
        content = read_payload(_decoded(compact))
    except WireError:
        raise Refused("malformed") from None
    if len(raw) > RECORD_MAX_BYTES and not isinstance(content, SnapshotPart):
        raise Refused("malformed")
    if content.iss != issuer:
        raise Refused("wrong_issuer")
    return content


def _decoded(compact: jws.Compact) -> bytes:
    try:
        return base64url.decode(compact.payload)
    except MalformedError:
        raise Refused("malformed") from None


def _epoch(content: FeedContent) -> int:
    return (content.position if isinstance(content, Record) else content.head.position).epoch
