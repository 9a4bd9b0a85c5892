"""Which root document is in force, and how the next one is found.

Rules (after TUF's client workflow, §5.3):

1. The first document is one that keys of the trust anchor have signed, of whatever version.
2. After it only the next version counts, signed by the thresholds of both. None is skipped; an older one has no effect.
3. A document needs no other voucher than its own signatures: it may come in a record, or alone.
4. Whether it has expired is not asked while walking: the last one must be alive when it is used.
"""

from typing import Any, Final, NamedTuple

from ostraka_schemas.errors import MalformedError, SignatureMismatch, WireError
from ostraka_schemas.events import RootPublished
from ostraka_schemas.root import (
    RootDocument,
    read_root_bytes,
    root_bytes,
    verify_first_root,
    verify_next_root,
    version_unverified,
)

from .anchored import Anchor
from .refused import Refused

MARK: Final = b"{"
"""A root document is JSON; everything else of the feed is a compact JWS and begins otherwise."""


class Brought(NamedTuple):
    """A document that a record brings, and how it travels alone."""

    document: RootDocument
    raw: bytes


class Roots:
    """Walks the chain of root documents.

    Attributes:
        current: the document in force; ``None`` before the first.
    """

    def __init__(self, anchor: Anchor) -> None:
        self.current: RootDocument | None = None
        self._anchor: Final = anchor

    def read(self, raw: bytes) -> RootDocument | None:
        """The document in ``raw`` if it is the one to adopt, ``None`` if it is one of those before.

        Raises:
            Refused
        """
        try:
            value = read_root_bytes(raw)
        except MalformedError:
            raise Refused("malformed_root") from None
        return self._judge(value)

    def brought_by(self, event: RootPublished) -> Brought | None:
        """The same for a document that a record brings."""
        value = {"payload": event.payload, "signatures": event.signatures}
        document = self._judge(value)
        return None if document is None else Brought(document, root_bytes(value))

    def _judge(self, value: Any) -> RootDocument | None:
        try:
            document = self._first(value) if self.current is None else self._next(value, self.current)
        except SignatureMismatch:
            raise Refused("root_not_trusted") from None
        except WireError:
            raise Refused("malformed_root") from None
        if document is not None and document.iss != self._anchor.issuer:
            raise Refused("wrong_issuer")
        return document

    def _first(self, value: Any) -> RootDocument:
        return verify_first_root(value, trusted=self._anchor.root_thumbprints)

    def _next(self, value: Any, current: RootDocument) -> RootDocument | None:
        version = version_unverified(value)
        if version <= current.version:
            return None
        if version > current.version + 1:
            raise Refused("root_skips_version")
        return verify_next_root(value, current)
