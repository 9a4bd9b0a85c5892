"""An issuer for tests: mints tokens, says what operators say, and lets time pass."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from ostraka_consumers.errors import ConfigurationError
from ostraka_consumers.verifier import Verifier
from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.errors import WireError
from ostraka_schemas.events import (
    IssuerCutoff,
    PermissionRevoked,
    RemainingClaims,
    SessionRevoked,
    TokenClaimsChange,
    TokenRevoked,
    TokensRevoked,
)
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.limits import TOKEN_MAX_BYTES
from ostraka_schemas.subjects import Complex, IssSub, JwtId, Opaque

from .signing import Signer, published
from .source import FakeSource, Listeners


@dataclass
class FakeIssuer(Signer):
    """An issuer in the same process. What it says, every verifier that follows it knows when the call returns.

    Verifiers follow it by ``verifier()``, or with ``source()`` among their sources. All bytes that it signs are in
    ``records`` as well, for those who want to hand them on themselves.

    Args:
        clock: stands still until ``advance``; its verifiers must go by the same one.
        audience: what tokens are for, and what ``verifier()`` takes them for, unless said otherwise.
    """

    audience: str = "orders"
    _listeners: Listeners = field(default_factory=Listeners)
    _verifiers: "WeakSet[Verifier]" = field(default_factory=WeakSet)

    # --- verifiers and time ------------------------------------------------------------------------------------------

    def source(self, name: str = "fake issuer") -> FakeSource:
        """A source of this issuer's feed, for a verifier that a service makes itself."""
        return FakeSource(name, self._listeners, self._everything)

    def verifier(self, audience: str | Collection[str] | None = None, **settings: Any) -> Verifier:
        """A verifier that follows this issuer and goes by its clock; the caller starts and stops it.

        Args:
            audience: this issuer's by default.
            settings: more of what ``Verifier`` takes.
        """
        made = Verifier(
            self.anchor, audience=audience or self.audience, sources=[self.source()], clock=self.clock, **settings
        )
        self._verifiers.add(made)
        return made

    def advance(self, seconds: float) -> None:
        """Let time pass, with heartbeats as ever unless it is silent. Grants that are watched end in time."""
        self.clock.advance(seconds)
        self.beat()
        for verifier in self._verifiers:
            verifier.look()

    def beat(self) -> None:
        """Say that there is nothing new."""
        if self.records:
            self._listeners.tell([self.heartbeat()])

    def go_silent(self) -> None:
        """From now on nothing reaches the verifiers. What is said meanwhile they hear on ``come_back``."""
        self._listeners.silent = True

    def go_stale(self) -> None:
        """Be silent for so long that no verifier accepts anything any more, except by grace."""
        self.go_silent()
        self.advance(self.root.limits.max_staleness + 1)

    def come_back(self) -> None:
        """Be heard again, with all that was said meanwhile."""
        self._listeners.silent = False
        self._listeners.tell(self._everything())

    def told(self, raw: bytes) -> None:
        """Hand a new record on."""
        self._listeners.tell([raw])

    def _everything(self) -> list[bytes]:
        if not self.records:
            self.open()
        return [*self.root_files(), *self.records, self.heartbeat()]

    # --- tokens ------------------------------------------------------------------------------------------------------

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token; a change to ``None`` takes the claim out."""
        claims = {
            "iss": self.issuer,
            "sub": "alice",
            "aud": [self.audience],
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
        """Sign an access token.

        Args:
            key: another key than the issuer's, for a forged one.
            changes: claims; alice may create and read orders if nothing else is said.
        """
        payload = strict_json.dumps(self.claims(**changes))
        return jws.sign(payload, key or self.token_key, typ=typ, max_bytes=TOKEN_MAX_BYTES).decode()

    # --- what operators say ------------------------------------------------------------------------------------------

    def revoke(self, token: str) -> bytes:
        """One token is dead.

        Raises:
            ConfigurationError: it is none.
        """
        try:
            claims = strict_json.loads_object(base64url.decode(token.encode().split(b".")[1]))
            return self.revoke_token(claims["jti"], claims["exp"])
        except (WireError, LookupError):
            raise ConfigurationError("revoke() takes a token, as token() made it") from None

    def revoke_token(self, jti: str, exp: int) -> bytes:
        """The token of that id is dead; ``exp`` is its end, in seconds since the epoch."""
        return self.record(TokenRevoked(exp=exp), JwtId(iss=self.issuer, jti=jti))

    def revoke_tokens(self, *tokens: tuple[str, int]) -> bytes:
        """Many tokens are dead: id and end of each."""
        return self.record(TokensRevoked(tokens=list(tokens)))

    def revoke_permission(self, permission: str) -> bytes:
        """No token minted so far carries what this covers."""
        return self.record(PermissionRevoked(permission=permission))

    def keep_only(self, sub: str, *permissions: str) -> bytes:
        """Tokens of a subject minted so far keep at most these permissions."""
        event = TokenClaimsChange(claims=RemainingClaims(permissions=list(permissions)), event_timestamp=self.now)
        return self.record(event, self.user(sub))

    def cut_subject(self, sub: str) -> bytes:
        """Every token of a subject minted so far is dead."""
        return self.record(SessionRevoked(event_timestamp=self.now), self.user(sub))

    def cut_session(self, sub: str, sid: str) -> bytes:
        """Every token of one login session is dead."""
        subject = Complex(user=self.user(sub), session=Opaque(id=sid))
        return self.record(SessionRevoked(event_timestamp=self.now), subject)

    def cut_client(self, client_id: str) -> bytes:
        """Every token of a client minted so far is dead."""
        return self.record(SessionRevoked(event_timestamp=self.now), Complex(application=Opaque(id=client_id)))

    def cut_everyone(self) -> bytes:
        """Every token minted so far is dead."""
        return self.record(IssuerCutoff())

    def user(self, sub: str) -> IssSub:
        """A subject of this issuer, as the feed names it."""
        return IssSub(iss=self.issuer, sub=sub)

    def rotate(self) -> bytes:
        """Sign tokens with a new key from now on; those of the one before go on being good."""
        return self._replace_key("deactivated")

    def compromise(self) -> bytes:
        """The key that signs tokens is out: all its tokens are dead, and a new one signs from now on."""
        return self._replace_key("compromised")

    def _replace_key(self, state: str) -> bytes:
        if not self.records:
            self.open()
        room = self.root.limits.token_keys - 1
        kept = [
            entry.model_copy(update={"state": state}) if entry.key().kid == self.token_key.kid else entry
            for entry in self.keys[max(0, len(self.keys) - room) :]
        ]
        self.token_key = SigningKey.generate(self.alg)
        return self.publish_keys(*kept, published(self.token_key, now=self.now))
