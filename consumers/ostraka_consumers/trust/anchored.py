"""What the trust core must be told before it believes anything."""

from typing import Protocol

from ostraka_schemas.records import Position


class Anchor(Protocol):
    """The part of a trust anchor that the rules read."""

    @property
    def issuer(self) -> str:
        """The issuer's identifier, compared character by character (RFC 9207 §2.4)."""
        ...

    @property
    def root_thumbprints(self) -> tuple[str, ...]:
        """RFC 7638 thumbprints of the root keys that may sign the root document."""
        ...

    @property
    def root_threshold(self) -> int:
        """How many of these keys must have signed it, at least."""
        ...

    @property
    def minimum(self) -> Position:
        """A feed position that must be reached before anything is decided."""
        ...
