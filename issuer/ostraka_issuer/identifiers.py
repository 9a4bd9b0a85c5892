"""Identifiers that we make: 128 random bits, base64url, 22 characters."""

from collections.abc import Callable
from typing import Final

from ostraka_schemas import base64url
from ostraka_schemas.errors import MalformedError

RandomBytes = Callable[[int], bytes]
"""Where randomness comes from, ``secrets.token_bytes`` outside tests."""

ID_BYTES: Final = 16


def new_id(random_bytes: RandomBytes) -> str:
    """A fresh identifier: a user, a session, a token, a transaction."""
    return base64url.encode(random_bytes(ID_BYTES)).decode()


def id_bytes(text: str) -> bytes | None:
    """The 16 bytes of an identifier of ours, or ``None`` if it is not one."""
    try:
        return base64url.decode_text(text, size=ID_BYTES)
    except MalformedError:
        return None
