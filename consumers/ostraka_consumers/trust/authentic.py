"""Is this really from the feed? Signature, type, key and limits first; nothing is remembered before that.

Before the first root document nothing can be verified, but for a record that brings the root document. That is verified
by the trust anchor's root keys, then the record itself by a feed key that the document names.
"""

from typing import Final

from ostraka_schemas import base64url, jws
from ostraka_schemas.errors import MalformedError, SignatureMismatch, UnsupportedKeyError, WireError
from ostraka_schemas.events import RootPublished
from ostraka_schemas.jwk import VerificationKey
from ostraka_schemas.limits import RECORD_MAX_BYTES
from ostraka_schemas.records import Heartbeat, Record, read_payload
from ostraka_schemas.root import RootDocument, verify_first_root

from .anchored import Anchor

FIRST_SEQ: Final = 1


class Refused(Exception):
    """The bytes are not to be believed. ``reason`` is a short machine name."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FeedKeys:
    """The keys that may sign the feed, as the current root document names them."""

    def __init__(self, root: RootDocument) -> None:
        self.root = root
        self._keys: dict[str, VerificationKey] = {key.kid: key for key in root.feed_keys()}

    def authenticate(self, raw: bytes, *, issuer: str, now: float) -> Record | Heartbeat:
        """Verify and read a record or heartbeat.

        Raises:
            Refused: not signed by a feed key that is in force, not readable, or of another issuer.
        """
        compact, header = _envelope(raw)
        key = self._keys.get(header.kid)
        if key is None:
            raise Refused("unknown_key")
        if now > self.root.feed.exp or now > self.root.exp:
            raise Refused("feed_key_expired")
        _check_signature(compact, header, key)
        content = _payload(compact)
        if content.iss != issuer:
            raise Refused("wrong_issuer")
        if (content.position if isinstance(content, Record) else content.head.position).epoch != self.root.epoch:
            raise Refused("wrong_epoch")
        return content


def first_root(raw: bytes, *, anchor: Anchor, now: float) -> FeedKeys:
    """Find, in the record that opens the feed, the root document that the anchor leads to.

    Raises:
        Refused: not such a record, not signed as the anchor asks, of another issuer, expired.
    """
    compact, _header = _envelope(raw)
    content = _payload(compact)
    if not isinstance(content, Record) or not isinstance(content.event, RootPublished):
        raise Refused("no_root_yet")
    event = content.event
    try:
        root = verify_first_root(
            {"payload": event.payload, "signatures": event.signatures}, trusted=anchor.root_thumbprints
        )
    except SignatureMismatch:
        raise Refused("root_not_trusted") from None
    except WireError:
        raise Refused("malformed_root") from None
    if root.iss != anchor.issuer:
        raise Refused("wrong_issuer")
    if now > root.exp:
        raise Refused("root_expired")
    if content.position.seq != FIRST_SEQ:
        raise Refused("root_out_of_place")
    return FeedKeys(root)


def _envelope(raw: bytes) -> tuple[jws.Compact, jws.Header]:
    try:
        compact = jws.split(raw, max_bytes=RECORD_MAX_BYTES)
        return compact, jws.read_header(compact.header, typ=jws.TYP_EVENT)
    except MalformedError:
        raise Refused("malformed") from None


def _payload(compact: jws.Compact) -> Record | Heartbeat:
    try:
        return read_payload(base64url.decode(compact.payload))
    except WireError:
        raise Refused("malformed") from None


def _check_signature(compact: jws.Compact, header: jws.Header, key: VerificationKey) -> None:
    try:
        jws.check(compact, header, key)
    except SignatureMismatch:
        raise Refused("bad_signature") from None
    except (MalformedError, UnsupportedKeyError):
        raise Refused("malformed") from None
