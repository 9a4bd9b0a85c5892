"""Where something stands in the feed."""

import hashlib
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from ostraka_schemas import base64url
from ostraka_schemas.limits import INTEGER_MAX

Number = Annotated[int, Field(ge=0, le=INTEGER_MAX)]
"""A non-negative integer that every JSON reader keeps exactly."""

Seconds = Number
"""NumericDate (RFC 7519, section 2) in whole seconds since 1970-01-01T00:00:00Z, or a length of time in seconds."""


class Position(NamedTuple):
    """A position in the feed; compares first by epoch, then by seq."""

    epoch: int
    seq: int


class Head(NamedTuple):
    """The newest record: its position and the SHA-256 of its bytes as base64url."""

    epoch: int
    seq: int
    hash: str

    @property
    def position(self) -> Position:
        """The position without the hash."""
        return Position(self.epoch, self.seq)


NO_RECORD: Final = base64url.encode(bytes(32))
"""`prev` of the first record of an epoch, and the hash of a head at seq 0: no record has this hash."""


def empty_head(epoch: int) -> Head:
    """Return the head of ``epoch`` before its first record."""
    return Head(epoch, 0, NO_RECORD)


def hash_of(record: bytes) -> str:
    """Return the SHA-256 of a record's bytes as base64url, as `prev` and `hash` carry it."""
    return base64url.encode(hashlib.sha256(record).digest())
