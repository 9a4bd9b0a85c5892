"""base64url without padding, in its one canonical form (RFC 4648 §5, RFC 7515 §2)."""

import binascii
from typing import Final

from .errors import MalformedError

_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_PADDING: Final = (b"", None, b"==", b"=")

# A last character may carry bits that decode to nothing. Accepting them would give one value several spellings.
_CANONICAL_LAST: Final = {2: frozenset(b"AQgw"), 3: frozenset(b"AEIMQUYcgkosw048")}


def encode(data: bytes) -> bytes:
    """Encode ``data``; the result has no padding."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=")


def decode(segment: bytes) -> bytes:
    """Decode ``segment``, whose characters the caller has already found to be of the base64url alphabet.

    Raises:
        MalformedError: impossible length, or not the canonical spelling.
    """
    rest = len(segment) % 4
    padding = _PADDING[rest]
    if padding is None or (rest and segment[-1] not in _CANONICAL_LAST[rest]):
        raise MalformedError("not canonical base64url: wrong length or stray bits at the end")
    return binascii.a2b_base64(segment.translate(_TO_STANDARD) + padding)


def decode_text(text: str, *, size: int | None = None) -> bytes:
    """Decode a base64url string of unknown content; with ``size``, exactly that many bytes must come out.

    Raises:
        MalformedError: foreign characters, padding, not canonical, or not ``size`` bytes.
    """
    raw = text.encode("utf-8", "replace")
    if raw.translate(None, ALPHABET):
        raise MalformedError("not base64url: a character outside A-Z a-z 0-9 - _")
    data = decode(raw)
    if size is not None and len(data) != size:
        raise MalformedError(f"expected {size} bytes of base64url, got {len(data)}")
    return data


ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
