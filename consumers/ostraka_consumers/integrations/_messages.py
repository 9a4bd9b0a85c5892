"""Tokens in Kafka messages: where they stand, and what a message looks like once it was refused. Knows no framework."""

import hashlib
from collections.abc import Sequence
from typing import Final

from ostraka_consumers.errors import Malformed

from ._bearer import NoToken

Headers = Sequence[tuple[str, bytes | None]]

AUTHORIZATION: Final = "authorization"
REPLY_TO: Final = "reply_to"
REASON: Final = "ostraka-reason"
REJECTED_AT: Final = "ostraka-rejected-at"
ORIGINAL: Final = "ostraka-original"
SHA256: Final = "ostraka-sha256"

_SCHEME: Final = b"bearer "


def bearer_token(headers: Headers) -> bytes:
    """The token of a message: the one header ``authorization``, ``Bearer`` and a token.

    Kafka lets a name stand twice and tells capital letters apart; whoever reads another one of two headers than we do
    would see another caller, so more than one is refused.

    Raises:
        NoToken, Malformed
    """
    found = [value for name, value in headers if name.lower() == AUTHORIZATION]
    if not found:
        raise NoToken("the message has no authorization header")
    if len(found) > 1:
        raise Malformed("more than one authorization header")
    value = found[0]
    if value is None or value[: len(_SCHEME)].lower() != _SCHEME:
        raise Malformed("the authorization header is not Bearer and a token")
    return value[len(_SCHEME) :]


def harmless(headers: Headers) -> Headers:
    """The headers a framework may see: text only, and nobody tells us where to send answers with our credentials."""
    for name, value in headers:
        if not _is_harmless(name, value):
            break
    else:
        return headers
    return tuple((name, value) for name, value in headers if _is_harmless(name, value))


def rejection_headers(reason: str, at: float) -> list[tuple[str, bytes | None]]:
    """What a refused message gets after its own headers: why and when (seconds since the epoch) it was refused."""
    return [(REASON, reason.encode()), (REJECTED_AT, f"{at:.3f}".encode())]


def stub_headers(topic: str, partition: int, offset: int, value: bytes | None) -> list[tuple[str, bytes | None]]:
    """What stands in for a value too large to be copied: where it is, and its SHA-256 in hex (null if it had none)."""
    digest = None if value is None else hashlib.sha256(value).hexdigest().encode()
    return [(ORIGINAL, f"{topic}/{partition}/{offset}".encode()), (SHA256, digest)]


def stubs(key: bytes | None, headers: Headers, added: Headers) -> list[tuple[bytes | None, Headers]]:
    """Keys and headers of stubs to be tried one after the other, each smaller than the one before."""
    return [(key, [*headers, *added]), (key, added), (None, added)]


def _is_harmless(name: str, value: bytes | None) -> bool:
    if value is None or name == REPLY_TO:
        return False
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
