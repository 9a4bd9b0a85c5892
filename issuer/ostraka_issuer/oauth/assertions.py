"""Assertions with which a client proves who it is (``private_key_jwt``): RFC 7523 §3, RFC 7521 §5.2. Rules only.

1. At most ``ASSERTION_MAX_BYTES``, three segments of canonical base64url, strict JSON.
2. The header has ``alg`` and at most ``kid`` and ``typ`` beside it: nothing that names, brings or changes a key
   (RFC 8725 §3.10). ``typ``, if it is there, is ``JWT`` or ``client-authentication+jwt``, so no access token will do.
3. The key is one of those registered for the client: the one that ``kid`` names, or, without ``kid``, any. ``alg`` is
   the one that key is bound to (RFC 8725 §3.1).
4. ``iss`` and ``sub`` are the client; ``aud`` is this issuer or its token endpoint, and nobody else besides: an
   assertion for several servers could be passed on by one of them.
5. ``exp`` is there, has not passed, and is no more than ``ASSERTION_LIFETIME_MAX`` ahead; ``iat`` and ``nbf`` are not
   ahead. ``jti`` is there: whoever calls remembers it until ``exp``, so that each works once.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field

from ostraka_issuer.limits import ASSERTION_LIFETIME_MAX, ASSERTION_MAX_BYTES
from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.errors import WireError
from ostraka_schemas.jwk import VerificationKey, is_kid
from ostraka_schemas.limits import CLOCK_TOLERANCE
from ostraka_schemas.model import Identifier, NumericDate, WireModel, validated

from .errors import InvalidClient

TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_TYPES: Final = frozenset({"jwt", "client-authentication+jwt"})
_HEADER_NAMES: Final = frozenset({"alg", "kid", "typ"})


class _Claims(WireModel):
    iss: Identifier
    sub: Identifier
    aud: Identifier | Annotated[list[Identifier], Field(min_length=1, max_length=1)]
    jti: Identifier
    exp: NumericDate
    iat: NumericDate | None = None
    nbf: NumericDate | None = None

    @property
    def audience(self) -> str:
        return self.aud if isinstance(self.aud, str) else self.aud[0]


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion that is good, if it was not used before.

    Attributes:
        jti, exp: what is remembered of it, ``exp`` in seconds since the epoch.
        jkt: thumbprint of the key that signed it (RFC 7638).
    """

    jti: str
    exp: int
    jkt: str


def client_of(raw: str) -> str:
    """Whom an assertion says it is from; nothing is verified.

    Raises:
        InvalidClient: it cannot be read.
    """
    try:
        return _claims(_split(raw)).sub
    except WireError as error:
        raise InvalidClient("the assertion cannot be read") from error


def verify(
    raw: str, keys: Sequence[VerificationKey], *, client_id: str, audiences: Collection[str], now: float
) -> Assertion:
    """Apply the rules.

    Args:
        keys: those registered for the client.
        audiences: what ``aud`` may be.
        now: seconds since the epoch.

    Raises:
        InvalidClient: one of them is broken.
    """
    try:
        compact = _split(raw)
        key = _signer(compact, keys)
        claims = _claims(compact)
    except WireError as error:
        raise InvalidClient("the assertion is not one of the client's") from error
    if claims.iss != client_id or claims.sub != client_id:
        raise InvalidClient("iss and sub of the assertion are the client")
    if claims.audience not in audiences:
        raise InvalidClient("aud of the assertion is this issuer or its token endpoint")
    if not now < claims.exp <= now + ASSERTION_LIFETIME_MAX + CLOCK_TOLERANCE:
        raise InvalidClient(f"the assertion has ended, or lives longer than {ASSERTION_LIFETIME_MAX} s")
    if max(claims.iat or 0, claims.nbf or 0) > now + CLOCK_TOLERANCE:
        raise InvalidClient("the time of the assertion has not come")
    return Assertion(claims.jti, claims.exp, key.thumbprint)


def _split(raw: str) -> jws.Compact:
    return jws.split(raw.encode("utf-8", "replace"), max_bytes=ASSERTION_MAX_BYTES)


def _claims(compact: jws.Compact) -> _Claims:
    members = strict_json.loads_object(base64url.decode(compact.payload))
    return validated(lambda: _Claims.model_validate(members), "assertion")


def _signer(compact: jws.Compact, keys: Sequence[VerificationKey]) -> VerificationKey:
    header: dict[str, Any] = strict_json.loads_object(base64url.decode(compact.header))
    kid, typ = header.get("kid"), header.get("typ", "JWT")
    if not header.keys() <= _HEADER_NAMES or not isinstance(typ, str) or typ.lower() not in _TYPES:
        raise InvalidClient("the header of an assertion has alg, kid and typ JWT")
    if "kid" in header and not is_kid(kid):
        raise InvalidClient("kid is not a short base64url name")
    signature = base64url.decode(compact.signature)
    for key in keys:
        named = kid is None or kid == key.kid
        if named and header.get("alg") == key.alg and key.verifies(compact.signing_input, signature):
            return key
    raise InvalidClient("no key of the client signed the assertion")
