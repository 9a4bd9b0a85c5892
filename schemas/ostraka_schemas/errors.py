"""The errors of the wire formats, and the root of every error Ostraka raises.

    OstrakaError                 everything that is ours; ``code`` is for machines
    └── WireError                the bytes are not what the format says
        ├── MalformedError       shape, characters, JSON, types, sizes
        ├── UnsupportedKeyError  a key that this system does not use
        └── SignatureMismatch    well-formed, but not signed by the key it names

Messages name the field and the rule that was broken. They never repeat the offending bytes: what is refused may be
a live token.
"""

from typing import ClassVar


class OstrakaError(Exception):
    """Base of every error that leaves a public function of Ostraka."""

    code: ClassVar[str] = "error"


class WireError(OstrakaError):
    """Bytes from outside do not follow the wire format."""

    code = "wire_error"


class MalformedError(WireError):
    """Wrong shape, characters, JSON, types or size."""

    code = "malformed"


class UnsupportedKeyError(WireError):
    """A key of a type, size or algorithm that no part of this system uses (RFC 8725 §3.5)."""

    code = "unsupported_key"


class SignatureMismatch(WireError):
    """The signature was not made by the key that the header names."""

    code = "bad_signature"
