"""Access tokens (RFC 9068), minted in two halves.

``draft`` reads, in the transaction that opens or refreshes a session, everything the token will say: permissions, the
key that signs, and the feed's head (``fv``). What it says was therefore true at one moment: a revocation that is in the
feed at that moment is older than the token, and one that comes later kills it. ``sign`` needs no database.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_issuer.accounts.holdings import permissions_of
from ostraka_issuer.errors import SigningUnavailable
from ostraka_issuer.identifiers import RandomBytes, new_id
from ostraka_issuer.keys.ring import TokenKeys
from ostraka_issuer.store import Transaction
from ostraka_issuer.store.intents import newest_position
from ostraka_schemas import jws, strict_json
from ostraka_schemas.limits import TOKEN_MAX_BYTES


@dataclass(frozen=True, slots=True)
class Session:
    """What a token says of its session."""

    id: str
    user_id: str
    client_id: str
    audience: tuple[str, ...]
    auth_time: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A token that is not signed yet."""

    kid: str
    claims: dict[str, Any] = field(repr=False)

    @property
    def lifetime(self) -> int:
        """Seconds from now to the token's end."""
        return int(self.claims["exp"] - self.claims["iat"])


class Minter:
    """Mints access tokens.

    Args:
        issuer: ``iss``.
        lifetime: seconds a token lives, at most; the key's own bound holds too.
    """

    def __init__(
        self,
        keys: TokenKeys,
        *,
        issuer: str,
        lifetime: int,
        clock: Clock | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._lifetime = lifetime
        self._clock = clock or SystemClock()
        self._random_bytes = random_bytes

    async def draft(self, tx: Transaction, session: Session) -> Draft:
        """Read what the next token of ``session`` says.

        Raises:
            SigningUnavailable: no key may sign now, or the feed is empty.
        """
        signer = await self._keys.signer(tx)
        position = await newest_position(tx)
        if position is None:
            raise SigningUnavailable("the feed has no record yet")
        now = int(self._clock.now().wall)
        claims = {
            "iss": self._issuer,
            "sub": session.user_id,
            "aud": _audience(session.audience),
            "client_id": session.client_id,
            "iat": now,
            "nbf": now,
            "exp": now + min(self._lifetime, signer.max_token_lifetime),
            "jti": new_id(self._random_bytes),
            "sid": session.id,
            "permissions": list(await permissions_of(tx, session.user_id)),
            "auth_time": session.auth_time,
            "fv": [position.epoch, position.seq],
        }
        return Draft(signer.kid, claims)

    async def sign(self, draft: Draft) -> str:
        """The token itself.

        Raises:
            KeyStoreError: the private key cannot be opened.
            MalformedError: longer than any reader takes.
        """
        key = await self._keys.private(draft.kid)
        payload = strict_json.dumps(draft.claims)
        return jws.sign(payload, key, typ=jws.TYP_ACCESS_TOKEN, max_bytes=TOKEN_MAX_BYTES).decode()


def _audience(audience: Sequence[str]) -> str | list[str]:
    # RFC 7519 §4.1.3: one audience is a plain string, which every reader understands.
    return audience[0] if len(audience) == 1 else list(audience)
