"""Refresh tokens: ``base64url(session id || generation || HMAC-SHA256)``, 52 bytes.

Nothing but the generation is stored: the one token that is good is the one whose generation is the session's. So the
successor of a token can be made again, and a copy of the database gives no token away.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ostraka_issuer.errors import GrantRefused
from ostraka_issuer.identifiers import ID_BYTES, id_bytes
from ostraka_issuer.keys.vault import Vault
from ostraka_schemas import base64url
from ostraka_schemas.errors import MalformedError

_GENERATION_BYTES: Final = 4
_BODY_BYTES: Final = ID_BYTES + _GENERATION_BYTES
_TOKEN_BYTES: Final = _BODY_BYTES + sha256().digest_size
_PURPOSE: Final = "ostraka refresh tokens 1"


@dataclass(frozen=True, slots=True)
class Presented:
    """What a genuine refresh token says."""

    session_id: str
    generation: int


class RefreshTokens:
    """Makes and reads refresh tokens. The key is derived from the sealing secret."""

    def __init__(self, vault: Vault) -> None:
        self._key = vault.derive(_PURPOSE)

    def make(self, session_id: str, generation: int) -> str:
        """The refresh token of one generation of a session; always the same one."""
        sid = id_bytes(session_id)
        if sid is None:
            raise GrantRefused("the session has no id of ours")
        body = sid + generation.to_bytes(_GENERATION_BYTES)
        return base64url.encode(body + self._mac(body)).decode()

    def read(self, token: str) -> Presented:
        """What ``token`` says.

        Raises:
            GrantRefused: it was not made here.
        """
        try:
            data = base64url.decode_text(token, size=_TOKEN_BYTES)
        except MalformedError as error:
            raise GrantRefused("this is not a refresh token of ours") from error
        body, mac = data[:_BODY_BYTES], data[_BODY_BYTES:]
        if not hmac.compare_digest(mac, self._mac(body)):
            raise GrantRefused("this is not a refresh token of ours")
        session_id = base64url.encode(body[:ID_BYTES]).decode()
        return Presented(session_id, int.from_bytes(body[ID_BYTES:]))

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")

    def __repr__(self) -> str:
        return "RefreshTokens(…)"
