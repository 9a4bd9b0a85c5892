"""Several issuers that have everything in common but their names, and the verifier of them all."""

from dataclasses import dataclass, field
from typing import Any

from ostraka_consumers import MultiIssuerVerifier
from ostraka_consumers.clock import ManualClock
from ostraka_schemas.jwk import SigningKey
from tests.support.fake_issuer import ISSUER, FakeIssuer

PARTNER = "https://id.partner.example"
STRANGER = "https://id.stranger.example"


@dataclass
class Twins:
    """Two trusted issuers and one that is not. They go by one clock and hand out the same ids.

    Attributes:
        same_key: the two sign tokens with one and the same key.
    """

    same_key: bool = False
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.ours, self.partner, self.stranger = (
            FakeIssuer(clock=self.clock, issuer=name) for name in (ISSUER, PARTNER, STRANGER)
        )
        if self.same_key:
            self.partner.token_key = self.ours.token_key
        self.trusted = (self.ours, self.partner)

    def verifier(self, **settings: Any) -> MultiIssuerVerifier:
        """A verifier of the two; the caller starts and stops it."""
        return MultiIssuerVerifier([issuer.verifier(ready_timeout=5) for issuer in self.trusted], **settings)


def token_of(issuer: FakeIssuer, key: SigningKey | None = None, **claims: Any) -> str:
    """A token whose every claim but ``iss`` is the same whoever signs it, where the key does not differ."""
    return issuer.token(key=key, **{"jti": "j", "sid": "s", "fv": [1, 2], **claims})
