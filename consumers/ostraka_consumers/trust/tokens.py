"""Is this token genuine? Steps 1 to 4 of a decision: everything that stays true of the same bytes.

1. Shape: at most 8 KiB, three base64url segments, strict JSON, header exactly ``alg``, ``kid``, ``typ`` = ``at+jwt``.
2. Key: known by ``kid``, bound to ``alg``, in a state that allows it. An unknown ``kid`` triggers nothing.
3. Signature.
4. Claims: types, issuer, audience, and a lifetime that the key allows.

What time and the feed change (``exp``, deny list, cut-offs, permissions, freshness) is asked anew each time, elsewhere.
"""

from dataclasses import dataclass
from typing import Final

from ostraka_consumers.errors import BadSignature, KeyCompromised, Malformed, UnknownKey, WrongAudience, WrongIssuer
from ostraka_consumers.limits import HEADER_CACHE_MAX
from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.claims import AccessTokenClaims, read_claims
from ostraka_schemas.errors import SignatureMismatch, WireError
from ostraka_schemas.limits import CLOCK_TOLERANCE, TOKEN_MAX_BYTES
from ostraka_schemas.records import Position

from .cutoffs import ISSUER, Key, Minted
from .denylist import token_number
from .keyset import KeySet, TrustedKey


@dataclass(frozen=True, slots=True)
class GenuineToken:
    """A token that passed steps 1 to 4, with what the later steps ask for worked out once."""

    claims: AccessTokenClaims
    trusted: TrustedKey
    number: int
    minted: Minted
    holders: tuple[Key, ...]


class TokenReader:
    """Applies steps 1 to 4.

    Args:
        issuer: the only ``iss`` that is accepted.
        audiences: the names under which this service is meant.
    """

    def __init__(self, issuer: str, audiences: frozenset[str]) -> None:
        self._issuer: Final = issuer
        self._audiences: Final = audiences
        self._headers: dict[bytes, jws.Header] = {}

    def read(self, token: str | bytes, keys: KeySet) -> GenuineToken:
        """Verify a token's bytes.

        Raises:
            Malformed, UnknownKey, KeyCompromised, BadSignature, WrongIssuer, WrongAudience
        """
        compact, header = self.shape(token)
        trusted = usable_key(keys.get(header.kid))
        self.signature(compact, header, trusted)
        return self.content(compact, trusted)

    def shape(self, token: str | bytes) -> tuple[jws.Compact, jws.Header]:
        """Step 1.

        Raises:
            Malformed
        """
        try:
            compact = jws.split(_as_bytes(token), max_bytes=TOKEN_MAX_BYTES)
            # Nearly every token has one of few headers, so each is read once. Any bytes in there passed read_header.
            header = self._headers.get(compact.header)
            return compact, header or jws.read_header(compact.header, typ=jws.TYP_ACCESS_TOKEN)
        except WireError as error:
            raise Malformed(str(error)) from error

    def signature(self, compact: jws.Compact, header: jws.Header, trusted: TrustedKey) -> None:
        """Step 3.

        Raises:
            BadSignature, Malformed
        """
        try:
            jws.check(compact, header, trusted.key)
        except SignatureMismatch as error:
            raise BadSignature(str(error)) from error
        except WireError as error:
            raise Malformed(str(error)) from error
        if len(self._headers) < HEADER_CACHE_MAX:
            self._headers[compact.header] = header

    def content(self, compact: jws.Compact, trusted: TrustedKey) -> GenuineToken:
        """Step 4.

        Raises:
            Malformed, WrongIssuer, WrongAudience, UnknownKey
        """
        try:
            claims = read_claims(strict_json.loads_object(base64url.decode(compact.payload)))
        except WireError as error:
            raise Malformed(str(error)) from error
        if claims.iss != self._issuer:
            raise WrongIssuer(f"the token is not from {self._issuer}")
        if self._audiences.isdisjoint(claims.audiences):
            raise WrongAudience(f"the token is not meant for {' or '.join(sorted(self._audiences))}")
        if not _is_short(claims, trusted):
            raise Malformed(f"a token of this key lives at most {trusted.max_token_lifetime} s")
        if not _is_of_its_time(claims, trusted):
            raise UnknownKey("the key does not sign tokens of that time")
        return GenuineToken(claims, trusted, token_number(claims.jti), _minted(claims), _holders(claims))


def usable_key(trusted: TrustedKey | None) -> TrustedKey:
    """Step 2: whether a key may verify anything.

    Tokens of a key that is still in pre-activation are taken: its activation may be on its way while the first token
    signed by it is already here. ``nbf`` bounds it.

    Raises:
        UnknownKey, KeyCompromised
    """
    if trusted is None or trusted.state == "destroyed":
        raise UnknownKey("no key of that name is in the key set")
    if trusted.state == "compromised":
        raise KeyCompromised("the key that signed this token is compromised")
    return trusted


def key_allows(claims: AccessTokenClaims, trusted: TrustedKey) -> bool:
    """Whether the key signs tokens of that time and length."""
    return _is_short(claims, trusted) and _is_of_its_time(claims, trusted)


def _is_short(claims: AccessTokenClaims, trusted: TrustedKey) -> bool:
    return 0 < claims.exp - claims.iat <= trusted.max_token_lifetime


def _is_of_its_time(claims: AccessTokenClaims, trusted: TrustedKey) -> bool:
    return claims.iat >= trusted.nbf - CLOCK_TOLERANCE and claims.exp <= trusted.exp


def _as_bytes(token: str | bytes) -> bytes:
    # Exactly these types: a subclass could answer differently each time it is asked.
    kind: object = type(token)
    if isinstance(token, bytes) and kind is bytes:
        return token
    if not isinstance(token, str) or kind is not str:
        raise Malformed("a token is text or bytes")
    if len(token) > TOKEN_MAX_BYTES:
        raise Malformed(f"longer than {TOKEN_MAX_BYTES} bytes")
    return token.encode("utf-8", "replace")


def _minted(claims: AccessTokenClaims) -> Minted:
    return Minted(None if claims.fv is None else Position(*claims.fv), claims.iat)


def _holders(claims: AccessTokenClaims) -> tuple[Key, ...]:
    holders = [ISSUER, Key("client", claims.client_id), Key("subject", claims.sub)]
    if claims.sid is not None:
        holders.append(Key("session", claims.sid))
    if claims.act is not None:
        # Whoever had a hand in it: a client that is cut off takes with it what others made of its tokens.
        holders += [Key("client", actor.client_id) for actor in claims.act.chain() if actor.client_id is not None]
    return tuple(holders)
