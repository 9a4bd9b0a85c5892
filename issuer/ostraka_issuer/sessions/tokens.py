"""Access tokens (RFC 9068), minted in three steps. The first two are one for whoever reads everything at once.

1. ``head`` reads where the feed ends. It is the first statement of the transaction that mints.
2. ``draft`` reads the key that signs and writes down what the token says. Whoever calls it has read that after
   ``head``, and holds what must not be taken back meanwhile: so the token may say something newer than its position in
   the feed (``fv``), never something older. A revocation that is in the feed at that moment is older than the token;
   one that comes later kills it.
3. ``sign`` needs no database.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ostraka_consumers.clock import Clock, SystemClock
from ostraka_issuer.errors import SigningUnavailable
from ostraka_issuer.identifiers import RandomBytes, new_id
from ostraka_issuer.keys.ring import TokenKeys
from ostraka_issuer.store import Transaction
from ostraka_issuer.store.intents import newest_position
from ostraka_issuer.store.keys import TokenKeyRow
from ostraka_schemas import jws, strict_json
from ostraka_schemas.claims import Actor
from ostraka_schemas.limits import TOKEN_MAX_BYTES
from ostraka_schemas.records import Position


@dataclass(frozen=True, slots=True)
class Content:
    """What a token says of whom it is for.

    Attributes:
        subject: ``sub``.
        client_id: the client that asked for it (RFC 8693 §4.3).
        audience: at least one.
        permissions: ``resource:action``.
        session_id: ``sid``, if a login is behind it; ``auth_time`` is when that was, seconds since the epoch.
        actor: ``act``, if somebody acts for the subject (RFC 8693 §4.1).
        jkt: thumbprint of the key that it is bound to (RFC 9449 §6.1).
        ends: it does not live beyond, seconds since the epoch.
    """

    subject: str
    client_id: str
    audience: tuple[str, ...]
    permissions: tuple[str, ...]
    session_id: str | None = None
    auth_time: int | None = None
    actor: Actor | None = None
    jkt: str | None = None
    ends: int | None = None


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

    async def head(self, tx: Transaction) -> Position:
        """Where the feed ends: ``fv`` of the token that ``tx`` mints.

        Raises:
            SigningUnavailable: the feed is empty.
        """
        return _known(await newest_position(tx))

    async def draft(self, tx: Transaction, position: Position, content: Content) -> Draft:
        """What a token of ``content`` says, to be signed by the key that signs now.

        Raises:
            SigningUnavailable: no key may sign now, or the token would have ended already.
        """
        return self._write(await self._keys.signer(tx), position, content)

    def draft_at_once(self, position: Position | None, keys: Sequence[TokenKeyRow], content: Content) -> Draft:
        """``head`` and ``draft`` for whoever has read everything by one statement, so that all of it is of one moment.

        Args:
            position: where the feed ends; ``None`` if it is empty.
            keys: those that may be the one that signs.

        Raises:
            SigningUnavailable: as for ``head`` and ``draft``.
        """
        return self._write(self._keys.choose(keys), _known(position), content)

    def _write(self, signer: TokenKeyRow, position: Position, content: Content) -> Draft:
        now = int(self._clock.now().wall)
        ends = now + min(self._lifetime, signer.max_token_lifetime)
        if content.ends is not None:
            ends = min(ends, content.ends)
        if ends <= now:
            raise SigningUnavailable("the token would have ended before it began")
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": content.subject,
            "aud": _audience(content.audience),
            "client_id": content.client_id,
            "iat": now,
            "nbf": now,
            "exp": ends,
            "jti": new_id(self._random_bytes),
            "permissions": list(content.permissions),
            "fv": [position.epoch, position.seq],
        }
        return Draft(signer.kid, {**claims, **_optional(content)})

    async def sign(self, draft: Draft) -> str:
        """The token itself.

        Raises:
            KeyStoreError: the private key cannot be opened.
            MalformedError: longer than any reader takes.
        """
        key = await self._keys.private(draft.kid)
        payload = strict_json.dumps(draft.claims)
        return jws.sign(payload, key, typ=jws.TYP_ACCESS_TOKEN, max_bytes=TOKEN_MAX_BYTES).decode()


def _known(position: Position | None) -> Position:
    if position is None:
        raise SigningUnavailable("the feed has no record yet")
    return position


def _optional(content: Content) -> dict[str, Any]:
    members: dict[str, Any] = {
        "sid": content.session_id,
        "auth_time": content.auth_time,
        "act": None if content.actor is None else content.actor.model_dump(exclude_none=True),
        "cnf": None if content.jkt is None else {"jkt": content.jkt},
    }
    return {name: value for name, value in members.items() if value is not None}


def _audience(audience: Sequence[str]) -> str | list[str]:
    # RFC 7519 §4.1.3: one audience is a plain string, which every reader understands.
    return audience[0] if len(audience) == 1 else list(audience)
