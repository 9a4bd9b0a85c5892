"""Clients of every kind at a running issuer's OAuth doors."""

import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import httpx
import jwt

from ostraka_consumers.errors import VerificationError
from ostraka_consumers.grant import Grant
from ostraka_consumers.verifier import Verifier
from ostraka_issuer.accounts.client_admin import Clients
from ostraka_issuer.accounts.client_changes import NewClient
from ostraka_issuer.accounts.clients import TOKEN_EXCHANGE, GrantType
from ostraka_issuer.accounts.ledger import Change
from ostraka_issuer.oauth.own_tokens import OwnTokens
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.records import Position
from tests.issuer.front import Desk

ALL: tuple[GrantType, ...] = ("password", "refresh_token", "client_credentials", TOKEN_EXCHANGE)
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY = SigningKey.generate("ES256")
OTHER_KEY = SigningKey.generate("EdDSA")


@dataclass
class Shop:
    """A desk with clients: ``billing`` has a secret, ``relay`` a key, ``ostraka-cli`` neither."""

    desk: Desk
    secrets: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    async def open(cls, desk: Desk) -> "Shop":
        shop = cls(desk)
        await shop.add("billing", "client_secret_basic")
        await shop.add("relay", "private_key_jwt", jwks={"keys": [KEY.public.to_jwk(), OTHER_KEY.public.to_jwk()]})
        return shop

    @property
    def clients(self) -> Clients:
        return Clients(self.desk.issuer.store, issuer=self.desk.issuer.settings.issuer, clock=self.desk.issuer.clock)

    @property
    def issuer_url(self) -> str:
        return self.desk.issuer.settings.issuer

    async def add(self, name: str, method: Any, **more: Any) -> None:
        values: dict[str, Any] = {
            "grant_types": ALL if method != "none" else ("password", "refresh_token"),
            "audiences": ["orders", "ostraka"],
            "permissions": ["orders:read", "stock:*"] if method != "none" else (),
            **more,
        }
        _, secret = await self.clients.add(NewClient(name, name, method, **values))
        if secret is not None:
            self.secrets[name] = secret

    def basic(self, name: str = "billing", secret: str | None = None) -> dict[str, str]:
        """The header of a client with a secret (RFC 6749 §2.3.1)."""
        auth = httpx.BasicAuth(quote_plus(name), quote_plus(self.secrets[name] if secret is None else secret))
        return {"authorization": auth._auth_header}

    def assertion(self, key: SigningKey = KEY, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """What ``relay`` proves itself with; claims that are ``None`` are left out."""
        now = int(self.desk.issuer.clock.now().wall)
        content = {
            "iss": "relay",
            "sub": "relay",
            "aud": self.issuer_url,
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(16),
            **claims,
        }
        kept = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(kept, key.private, algorithm=key.alg, headers={"kid": key.kid, **(header or {})})

    def proof(self, raw: str | None = None) -> dict[str, str]:
        """The fields of a client with a key (RFC 7523 §2.2)."""
        return {"client_assertion_type": JWT_BEARER, "client_assertion": raw or self.assertion()}

    async def token(self, headers: dict[str, str] | None = None, /, **fields: Any) -> httpx.Response:
        return await self.desk.client.post("/token", data=fields, headers=headers or {})

    async def own(self, headers: dict[str, str] | None = None, /, **fields: Any) -> httpx.Response:
        """A token for the client itself."""
        return await self.token(headers, grant_type="client_credentials", **fields)

    async def exchange(self, subject: str, headers: dict[str, str] | None = None, /, **fields: Any) -> httpx.Response:
        """A caller's token for a narrower one."""
        values = {"grant_type": TOKEN_EXCHANGE, "subject_token": subject, "subject_token_type": ACCESS_TOKEN}
        return await self.token(headers, **{**values, **fields})

    async def grant(self, token: str) -> Grant | None:
        """What the issuer's own verifier makes of a token for anybody."""
        try:
            return (await OwnTokens(self.verifier).judge(token)).grant
        except VerificationError:
            return None

    @property
    def verifier(self) -> Verifier:
        return self.desk.issuer.verifier

    async def applied(self, change: Change | Any) -> None:
        """Wait until the verifier has applied what was announced."""
        assert change.txn is not None
        position = await self.desk.issuer.feed.position_of(change.txn, 10)
        assert position is not None
        assert await self.verifier.wait_for(Position(*position), 10)
