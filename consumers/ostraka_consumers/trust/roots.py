"""Which root document is in force, which ones wait for their place in the feed, and how the next one is found.

Rules (after TUF's client workflow, §5.3):

1. The first document is one that keys of the trust anchor have signed, as many as the anchor asks for, of whatever
   version.
2. After it only the next version counts, signed by the thresholds of both. None is skipped; an older one has no effect.
3. A document needs no other voucher than its own signatures: it may come in a record, or alone.
4. One that opens an epoch is in force at once. One of the same epoch waits until its record is applied, or a snapshot
   that was made under it: what was said before it keeps to the limits before it. The feed keys that it names may sign
   while it waits; those that it does not name may sign no more once it has waited for longer than ``max_staleness``,
   or whoever holds its record back would keep a retired key alive.
5. Whether it has expired is not asked while walking: the one that names a key must be alive when that key is used.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from ostraka_schemas.errors import MalformedError, SignatureMismatch, WireError
from ostraka_schemas.events import RootPublished
from ostraka_schemas.limits import ROOT_VERSIONS_MAX
from ostraka_schemas.root import (
    RootDocument,
    read_root_bytes,
    root_bytes,
    verify_first_root,
    verify_next_root,
    version_unverified,
)

from .anchored import Anchor
from .feedkeys import FeedKeys
from .refused import Refused

MARK: Final = b"{"
"""A root document is JSON; everything else of the feed is a compact JWS and begins otherwise."""


class Verified(NamedTuple):
    """A document that was verified, how it travels alone, and the feed keys it names."""

    document: RootDocument
    raw: bytes
    keys: FeedKeys


class _Waiting(NamedTuple):
    verified: Verified
    since: float


class Roots:
    """Walks the chain of root documents."""

    def __init__(self, anchor: Anchor) -> None:
        self._anchor: Final = anchor
        self._in_force: Verified | None = None
        self._waiting: list[_Waiting] = []

    @property
    def in_force(self) -> RootDocument | None:
        """The document that bounds what is said now; ``None`` before the first."""
        return None if self._in_force is None else self._in_force.document

    @property
    def newest(self) -> RootDocument | None:
        """The newest document that was verified: in force, or the last that waits."""
        return self._waiting[-1].verified.document if self._waiting else self.in_force

    @property
    def are_waiting(self) -> bool:
        """Whether documents wait for their place: then their records exist, and are not applied."""
        return bool(self._waiting)

    def keys_for(self, kid: str, now: float) -> list[FeedKeys]:
        """The keys of those documents that may speak now and name ``kid``."""
        if self._in_force is None:
            return []
        known = [self._in_force, *(waiting.verified for waiting in self._waiting)]
        overdue = sum(now - waiting.since > self._patience for waiting in self._waiting)
        return [verified.keys for verified in known[overdue:] if kid in verified.keys]

    @property
    def _patience(self) -> float:
        return 0.0 if self._in_force is None else float(self._in_force.document.limits.max_staleness)

    def read(self, raw: bytes) -> Verified | None:
        """The document in ``raw`` if it is the one that follows the newest, ``None`` if it is one of those before.

        Raises:
            Refused
        """
        try:
            value = read_root_bytes(raw)
        except MalformedError:
            raise Refused("malformed_root") from None
        return self._judge(value, self.newest)

    def brought_by(self, event: RootPublished) -> Verified | None:
        """The same for a document that a record brings.

        Raises:
            Refused
        """
        return self._judge(_value_of(event), self.newest)

    def due(self, event: RootPublished) -> Verified | None:
        """The document of a record whose turn has come, if it follows the one in force; ``None`` if it is older.

        Raises:
            Refused
        """
        return self._judge(_value_of(event), self.in_force)

    def waiting_until(self, version: int) -> Iterator[Verified]:
        """Those that wait, up to ``version``; the caller lets each come into force before asking for the next."""
        while self._waiting and self._waiting[0].verified.document.version <= version:
            yield self._waiting[0].verified

    def hold(self, verified: Verified, now: float) -> None:
        """Let the one that follows the newest wait for its place, from ``now`` on.

        Raises:
            Refused: so many wait that something must be wrong.
        """
        if len(self._waiting) >= ROOT_VERSIONS_MAX:
            raise Refused("too_many_roots")
        self._waiting.append(_Waiting(verified, now))

    def enter(self, verified: Verified) -> None:
        """Let a document come into force."""
        follows = bool(self._waiting) and self._waiting[0].verified.document == verified.document
        self._in_force, self._waiting = verified, self._waiting[1:] if follows else []

    def _judge(self, value: Any, before: RootDocument | None) -> Verified | None:
        try:
            document = self._first(value) if before is None else self._next(value, before)
        except SignatureMismatch:
            raise Refused("root_not_trusted") from None
        except WireError:
            raise Refused("malformed_root") from None
        if document is None:
            return None
        if document.iss != self._anchor.issuer:
            raise Refused("wrong_issuer")
        return Verified(document, root_bytes(value), FeedKeys(document))

    def _first(self, value: Any) -> RootDocument:
        anchor = self._anchor
        return verify_first_root(value, trusted=anchor.root_thumbprints, threshold=anchor.root_threshold)

    @staticmethod
    def _next(value: Any, before: RootDocument) -> RootDocument | None:
        version = version_unverified(value)
        if version <= before.version:
            return None
        if version > before.version + 1:
            raise Refused("root_skips_version")
        return verify_next_root(value, before)


def _value_of(event: RootPublished) -> dict[str, Any]:
    return {"payload": event.payload, "signatures": event.signatures}
