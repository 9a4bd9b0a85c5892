"""Who a token says it is from, before anything about it is verified: only good for choosing who judges it."""

import math
from typing import Final

from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.errors import WireError
from ostraka_schemas.limits import TOKEN_MAX_BYTES

from .errors import Malformed

_TOKEN_TYPES: Final = frozenset({str, bytes})

AS_EVER: Final = math.inf
"""As much staleness as the verifier bears; the very object that ``Verifier.verify`` knows as its default."""


def is_looked_up(token: object) -> bool:
    """Whether ``token`` is of exactly the types, and no larger than the size, that may be looked up."""
    return type(token) in _TOKEN_TYPES and len(token) <= TOKEN_MAX_BYTES  # type: ignore[arg-type]


def claimed_issuer(token: str | bytes) -> str:
    """``iss`` of the payload, which nobody has verified.

    Raises:
        Malformed: there is none to be read. No verifier would take such a token either.
    """
    if not is_looked_up(token):
        raise Malformed(f"a token is text or bytes, at most {TOKEN_MAX_BYTES} of them")
    raw = token.encode("utf-8", "replace") if isinstance(token, str) else token
    try:
        compact = jws.split(raw, max_bytes=TOKEN_MAX_BYTES)
        claimed = strict_json.loads_object(base64url.decode(compact.payload)).get("iss")
    except WireError as error:
        raise Malformed(str(error)) from error
    if not isinstance(claimed, str):
        raise Malformed("iss is not text")
    return claimed
