"""Identifiers: 128 bits as base64url for what we make, a bounded text for what others made."""

import secrets
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import Field

from ostraka_schemas import base64url
from ostraka_schemas.limits import TEXT_MAX_CHARS

RandomBytes = Callable[[int], bytes]
"""Where randomness comes from; handed in so that tests can repeat it."""

IDENTIFIER_BYTES: Final = 16

Text = Annotated[str, Field(min_length=1, max_length=TEXT_MAX_CHARS)]
"""Any identifier or text that has no tighter bound."""

HashText = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""A SHA-256 value as base64url."""


def new_identifier(random_bytes: RandomBytes = secrets.token_bytes) -> str:
    """Return a fresh 128-bit identifier (`jti`, `sid`, `txn`) as 22 base64url characters."""
    return base64url.encode(random_bytes(IDENTIFIER_BYTES))
