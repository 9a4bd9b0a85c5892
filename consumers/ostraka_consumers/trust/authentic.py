"""Is this really from the feed? Signature, type, key and limits first; nothing is remembered before that.

Whatever the feed says is signed by a feed key that the root document in force names. The one exception: a record that
brings a root document may be signed by a key that this document names, once the document itself was verified.
"""

from typing import Final, NamedTuple

from ostraka_schemas import base64url, jws
from ostraka_schemas.errors import MalformedError, SignatureMismatch, UnsupportedKeyError, WireError
from ostraka_schemas.events import RootPublished
from ostraka_schemas.jwk import VerificationKey
from ostraka_schemas.limits import RECORD_MAX_BYTES, SNAPSHOT_PART_MAX_BYTES
from ostraka_schemas.records import Record
from ostraka_schemas.root import RootDocument
from ostraka_schemas.snapshots import FeedContent, SnapshotPart, read_payload

from .refused import Refused
from .roots import Brought, Roots

_OVER: Final = "feed_key_expired"
_ROOT_URI: Final = RootPublished.uri.encode()


class FeedKeys:
    """The keys that may sign the feed, as one root document names them."""

    def __init__(self, root: RootDocument) -> None:
        self.root: Final = root
        self._keys: dict[str, VerificationKey] = {key.kid: key for key in root.feed_keys()}

    def __contains__(self, kid: str) -> bool:
        return kid in self._keys

    def are_over(self, now: float) -> bool:
        """Whether the time has passed in which they may sign."""
        return now > self.root.feed.exp or now > self.root.exp

    def check(self, compact: jws.Compact, header: jws.Header, now: float) -> None:
        """Whether a feed key that is in force has signed this.

        Raises:
            Refused
        """
        key = self._keys.get(header.kid)
        if key is None:
            raise Refused("unknown_key")
        if self.are_over(now):
            raise Refused(_OVER)
        try:
            jws.check(compact, header, key)
        except SignatureMismatch:
            raise Refused("bad_signature") from None
        except (MalformedError, UnsupportedKeyError):
            raise Refused("malformed") from None


class Authentic(NamedTuple):
    """What was verified; and, if it is a record that brings a root document not yet in force, that document."""

    content: FeedContent
    brings: Brought | None = None


def authenticate(raw: bytes, *, keys: FeedKeys | None, roots: Roots, issuer: str, now: float) -> Authentic:
    """Verify and read a record, a heartbeat or a part of a snapshot.

    Args:
        keys: those in force; ``None`` before the first root document.

    Raises:
        Refused: not signed by a feed key that is in force, not readable, of another issuer or epoch.
    """
    compact, header = _envelope(raw)
    stranger = "no_root_yet" if keys is None else "unknown_key"
    if keys is not None and keys.are_over(now):
        stranger = _OVER
    elif keys is not None and header.kid in keys:
        # The signature first: nothing of a stranger's is read further than its header.
        keys.check(compact, header, now)
        content = _content(compact, raw, issuer)
        if _epoch(content) == keys.root.epoch:
            return Authentic(content)
        stranger = "wrong_epoch"
    record = _root_record(compact, raw, issuer)
    brought = None if record is None else roots.brought_by(record.event)
    if record is None or brought is None:
        raise Refused(stranger)
    FeedKeys(brought.document).check(compact, header, now)
    if _epoch(record.content) != brought.document.epoch:
        raise Refused("wrong_epoch")
    return Authentic(record.content, brought)


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
