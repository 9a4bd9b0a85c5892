"""An issuer without HTTP, database or bus: it signs what a real one would sign, and whatever else a test wants."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ostraka_consumers import TrustAnchor
from ostraka_consumers.clock import ManualClock
from ostraka_consumers.trust.effects import TrustState
from ostraka_consumers.trust.snapshot import contents_of
from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.events import (
    Event,
    IssuerCutoff,
    KeySetChanged,
    KeyState,
    PermissionRevoked,
    PublishedKey,
    RemainingClaims,
    RootPublished,
    SessionRevoked,
    TokenClaimsChange,
    TokenRevoked,
    TokensRevoked,
)
from ostraka_schemas.jwk import Algorithm, SigningKey
from ostraka_schemas.limits import TOKEN_MAX_BYTES
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
from ostraka_schemas.snapshots import SnapshotState, cut, sign_part
from ostraka_schemas.subjects import Complex, IssSub, JwtId, Opaque, SubjectIdentifier, Uri

ISSUER = "https://id.example"
YEAR = 365 * 24 * 3600


def published(
    key: SigningKey, *, now: int, state: KeyState = "active", lifetime: int = 300, nbf: int | None = None
) -> PublishedKey:
    """An entry of the key set for ``key``."""
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
class FakeIssuer:
    """Signs a feed and tokens. ``records`` is the whole feed so far, in order."""

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
    _random: random.Random = field(default_factory=lambda: random.Random(20260101))

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

    # --- the feed ---

    def open(self) -> list[bytes]:
        """The two records every feed begins with: the root document and the key set."""
        return [self.publish_root(), self.publish_keys(published(self.token_key, now=self.now))]

    def publish_root(self) -> bytes:
        return self.record(RootPublished(**self.signed_roots[-1]))

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

    def snapshot(self, state: TrustState, *, head: Head | None = None, iat: int | None = None) -> list[bytes]:
        """The parts of a snapshot of ``state``, which is how somebody honest stands at ``head``."""
        shares = list(cut(contents_of(state)))
        return [
            self.snapshot_part(share, n, len(shares), head=head, iat=iat) for n, share in enumerate(shares, start=1)
        ]

    def snapshot_part(
        self,
        state: SnapshotState,
        part: int = 1,
        parts: int = 1,
        *,
        head: Head | None = None,
        iat: int | None = None,
        key: SigningKey | None = None,
        iss: str | None = None,
        root_version: int | None = None,
    ) -> bytes:
        return sign_part(
            key or self.feed_key,
            iss=iss or self.issuer,
            iat=self.now if iat is None else iat,
            jti=self.new_id(),
            head=head or self.head,
            root_version=self.root.version if root_version is None else root_version,
            part=part,
            parts=parts,
            state=state,
        )

    def publish_keys(self, *keys: PublishedKey) -> bytes:
        return self.record(KeySetChanged(keys=list(keys)))

    def record(self, event: Event, subject: SubjectIdentifier | None = None, *, txn: str | None = None) -> bytes:
        """Sign the next record, append it to ``records`` and return its bytes."""
        raw = self.sign(event, subject, seq=len(self.records) + 1, prev=self._prev(), txn=txn)
        self.records.append(raw)
        return raw

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

    def sign_payload(
        self, payload: dict[str, Any], *, key: SigningKey | None = None, typ: str = jws.TYP_EVENT
    ) -> bytes:
        """Sign any payload with the feed key."""
        return jws.sign(strict_json.dumps(payload), key or self.feed_key, typ=typ, max_bytes=10_000_000)

    def payload(
        self, events: dict[str, Any], *, sub_id: dict[str, Any] | None = None, seq: int | None = None, **changes: Any
    ) -> dict[str, Any]:
        """The payload of what would be the next record, for tests that need one no model would make."""
        body = {
            "iss": self.issuer,
            "iat": self.now,
            "jti": self.new_id(),
            "txn": self.new_id(),
            "sub_id": sub_id or {"format": "uri", "uri": self.issuer},
            "events": events,
            "feed": {
                "epoch": self.epoch,
                "seq": len(self.records) + 1 if seq is None else seq,
                "prev": base64url.encode(self._prev()).decode(),
            },
        }
        return {**body, **changes}

    def append(self, raw: bytes) -> bytes:
        """Make ``raw`` the newest record."""
        self.records.append(raw)
        return raw

    def heartbeat(self, *, head: Head | None = None, iat: int | None = None, key: SigningKey | None = None) -> bytes:
        """Sign a heartbeat for the current head, now."""
        return sign_heartbeat(
            key or self.feed_key,
            iss=self.issuer,
            iat=self.now if iat is None else iat,
            jti=self.new_id(),
            head=head or self.head,
        )

    def _prev(self) -> bytes:
        return record_hash(self.records[-1]) if self.records else GENESIS

    # --- what operators say ---

    def user(self, sub: str) -> IssSub:
        return IssSub(iss=self.issuer, sub=sub)

    def cut_subject(self, sub: str) -> bytes:
        return self.record(SessionRevoked(event_timestamp=self.now), self.user(sub))

    def cut_session(self, sub: str, sid: str) -> bytes:
        subject = Complex(user=self.user(sub), session=Opaque(id=sid))
        return self.record(SessionRevoked(event_timestamp=self.now), subject)

    def cut_client(self, client_id: str) -> bytes:
        return self.record(SessionRevoked(event_timestamp=self.now), Complex(application=Opaque(id=client_id)))

    def cut_everyone(self) -> bytes:
        return self.record(IssuerCutoff())

    def revoke_token(self, jti: str, exp: int) -> bytes:
        return self.record(TokenRevoked(exp=exp), JwtId(iss=self.issuer, jti=jti))

    def revoke_tokens(self, *tokens: tuple[str, int]) -> bytes:
        return self.record(TokensRevoked(tokens=list(tokens)))

    def revoke_permission(self, permission: str) -> bytes:
        return self.record(PermissionRevoked(permission=permission))

    def keep_only(self, sub: str, *permissions: str) -> bytes:
        event = TokenClaimsChange(claims=RemainingClaims(permissions=list(permissions)), event_timestamp=self.now)
        return self.record(event, self.user(sub))

    # --- tokens ---

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token; a change to ``None`` takes the claim out."""
        claims = {
            "iss": self.issuer,
            "sub": "alice",
            "aud": ["orders"],
            "client_id": "web",
            "iat": self.now,
            "nbf": self.now,
            "exp": self.now + 300,
            "jti": self.new_id(),
            "sid": self.new_id(),
            "permissions": ["orders:create", "orders:read"],
            "auth_time": self.now,
            "fv": [self.epoch, len(self.records)],
        }
        return {name: value for name, value in {**claims, **changes}.items() if value is not None}

    def token(self, *, key: SigningKey | None = None, typ: str = jws.TYP_ACCESS_TOKEN, **changes: Any) -> str:
        """Sign an access token."""
        payload = strict_json.dumps(self.claims(**changes))
        return jws.sign(payload, key or self.token_key, typ=typ, max_bytes=TOKEN_MAX_BYTES).decode()
