"""The issuer for tests that is shipped, and whatever else a test of ours wants signed: snapshots, odd payloads."""

from dataclasses import dataclass
from typing import Any

from ostraka_consumers import testing
from ostraka_consumers.testing import ISSUER, published
from ostraka_consumers.trust.effects import TrustState
from ostraka_consumers.trust.snapshot import contents_of
from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.records import Head
from ostraka_schemas.snapshots import SnapshotState, cut, sign_part

__all__ = ["ISSUER", "YEAR", "FakeIssuer", "published"]

YEAR = 365 * 24 * 3600


@dataclass
class FakeIssuer(testing.FakeIssuer):
    """Signs a feed and tokens. ``records`` is the whole feed so far, in order."""

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
                "prev": base64url.encode(self.prev).decode(),
            },
        }
        return {**body, **changes}

    def append(self, raw: bytes) -> bytes:
        """Make ``raw`` the newest record."""
        self.records.append(raw)
        return raw
