"""What a fake issuer signs: root documents, key sets, records and heartbeats."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ostraka_consumers.anchor import TrustAnchor
from ostraka_consumers.clock import ManualClock
from ostraka_schemas import base64url
from ostraka_schemas.events import Event, KeySetChanged, KeyState, PublishedKey, RootPublished
from ostraka_schemas.jwk import Algorithm, SigningKey
from ostraka_schemas.records import GENESIS, Head, Position, record_hash, sign_heartbeat, sign_record
from ostraka_schemas.root import (
    FeedRole,
    Limits,
    RootDocument,
    RootRole,
    read_root_unverified,
    root_bytes,
    sign_root,
)
from ostraka_schemas.subjects import SubjectIdentifier, Uri

ISSUER = "https://id.example"
YEAR = 365 * 24 * 3600


def published(
    key: SigningKey, *, now: int, state: KeyState = "active", lifetime: int = 300, nbf: int | None = None
) -> PublishedKey:
    """An entry of the key set for ``key``.

    Args:
        now, nbf: seconds since the epoch.
        lifetime: seconds that its tokens may live.
    """
    start = now - 60 if nbf is None else nbf
    return PublishedKey(
        jwk=key.public.to_jwk(),
        alg=key.alg,
        state=state,
        nbf=start,
        exp=start + 30 * 24 * 3600,
        max_token_lifetime=lifetime,
    )


@dataclass
class Signer:
    """Signs a feed and hands every record on. ``records`` is the whole feed so far, in order."""

    clock: ManualClock = field(default_factory=ManualClock)
    issuer: str = ISSUER
    epoch: int = 1
    limits: Limits = field(default_factory=Limits)
    alg: Algorithm = "ES256"
    root_key: SigningKey = field(default_factory=lambda: SigningKey.generate("EdDSA"))
    feed_key: SigningKey = field(default_factory=lambda: SigningKey.generate("EdDSA"))
    token_key: SigningKey = field(init=False)
    records: list[bytes] = field(default_factory=list)
    signed_roots: list[dict[str, Any]] = field(init=False)
    keys: list[PublishedKey] = field(default_factory=list)
    _random: random.Random = field(default_factory=lambda: random.Random(20260101))  # noqa: S311 - no secret

    def __post_init__(self) -> None:
        self.token_key = SigningKey.generate(self.alg)
        self.root = RootDocument(
            iss=self.issuer,
            version=1,
            epoch=self.epoch,
            iat=self.now,
            exp=self.now + YEAR,
            root=RootRole(keys=[self.root_key.public.to_jwk()], threshold=1),
            feed=FeedRole(keys=[self.feed_key.public.to_jwk()], exp=self.now + YEAR),
            limits=self.limits,
        )
        self.sign_first_root()

    def sign_first_root(self) -> None:
        """Sign ``root`` as the first version; after a test has changed it, once more."""
        self.signed_roots = [sign_root(self.root, [self.root_key])]

    @property
    def now(self) -> int:
        """Whole seconds of the issuer's clock."""
        return int(self.clock.now().wall)

    @property
    def anchor(self) -> TrustAnchor:
        """What verifiers are deployed with."""
        first = read_root_unverified(self.signed_roots[0])
        thumbprints = tuple(key.thumbprint for key in first.root_keys())
        return TrustAnchor(self.issuer, thumbprints, root_threshold=first.root.threshold)

    @property
    def head(self) -> Head:
        """The newest record."""
        return Head(Position(self.epoch, len(self.records)), record_hash(self.records[-1]))

    def new_id(self) -> str:
        """A 128-bit id, base64url."""
        return base64url.encode(self._random.randbytes(16)).decode()

    # --- root documents and keys -------------------------------------------------------------------------------------

    def open(self) -> list[bytes]:
        """The two records every feed begins with: the root document and the key set."""
        return [self.publish_root(), self.publish_keys(published(self.token_key, now=self.now))]

    def publish_root(self) -> bytes:
        """Put the newest root document into the feed."""
        return self.record(RootPublished(**self.signed_roots[-1]))

    def publish_keys(self, *keys: PublishedKey) -> bytes:
        """Replace the key set."""
        self.keys = list(keys)
        return self.record(KeySetChanged(keys=self.keys))

    def next_root(self, *, signers: Sequence[SigningKey] | None = None, **changes: Any) -> dict[str, Any]:
        """Sign the version that follows, of the same content but for ``changes``; it is not in force yet."""
        content = {**self.root.model_dump(), "version": self.root.version + 1, "iat": self.now, **changes}
        root = RootDocument.model_validate(content)
        return sign_root(root, [self.root_key] if signers is None else signers)

    def adopt_root(self, value: dict[str, Any], *, feed_key: SigningKey | None = None) -> list[bytes]:
        """Put a root document in force: its record; with a new epoch the key set, too. Returns what was said."""
        self.root = read_root_unverified(value)
        self.signed_roots.append(value)
        self.feed_key = feed_key or self.feed_key
        if self.root.epoch == self.epoch:
            return [self.publish_root()]
        self.epoch, self.records = self.root.epoch, []
        return self.open()

    def root_files(self) -> list[bytes]:
        """Every root document so far, as it travels alone."""
        return [root_bytes(value) for value in self.signed_roots]

    # --- records and heartbeats --------------------------------------------------------------------------------------

    def record(self, event: Event, subject: SubjectIdentifier | None = None, *, txn: str | None = None) -> bytes:
        """Sign the next record, append it to ``records`` and return its bytes."""
        raw = self.sign(event, subject, seq=len(self.records) + 1, prev=self.prev, txn=txn)
        self.records.append(raw)
        self.told(raw)
        return raw

    def told(self, raw: bytes) -> None:
        """Called with each record when it has become part of the feed."""

    def sign(
        self,
        event: Event,
        subject: SubjectIdentifier | None = None,
        *,
        seq: int,
        prev: bytes,
        key: SigningKey | None = None,
        iat: int | None = None,
        iss: str | None = None,
        epoch: int | None = None,
        txn: str | None = None,
    ) -> bytes:
        """Sign a record that is not part of the feed, with anything about it changed."""
        return sign_record(
            key or self.feed_key,
            iss=iss or self.issuer,
            iat=self.now if iat is None else iat,
            jti=self.new_id(),
            txn=txn or self.new_id(),
            position=Position(epoch or self.epoch, seq),
            prev=prev,
            subject=subject or Uri(uri=self.issuer),
            event=event,
        )

    def heartbeat(self, *, head: Head | None = None, iat: int | None = None, key: SigningKey | None = None) -> bytes:
        """Sign a heartbeat for the current head, now."""
        return sign_heartbeat(
            key or self.feed_key,
            iss=self.issuer,
            iat=self.now if iat is None else iat,
            jti=self.new_id(),
            head=head or self.head,
        )

    @property
    def prev(self) -> bytes:
        """What the next record calls the one before."""
        return record_hash(self.records[-1]) if self.records else GENESIS
