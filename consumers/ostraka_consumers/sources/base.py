"""The seam between the trust core and whatever brings bytes to it.

A source decides nothing: it delivers bytes in whatever order it has them and is told what became of them.
"""

from typing import Protocol

from ostraka_consumers.trust.receipt import Receipt
from ostraka_schemas.records import Position


class FeedSink(Protocol):
    """Where one source delivers to. Each source has a sink of its own."""

    def deliver(self, raw: bytes) -> Receipt:
        """Hand over whatever was found: a record, a heartbeat, a part of a snapshot, a root document. Never raises."""
        ...

    def silence(self) -> float:
        """Seconds since this source brought a heartbeat newer than its one before; infinite before the first.

        That another source brought the same one earlier makes no difference.
        """
        ...

    @property
    def incomplete(self) -> bool:
        """Whether records are known to exist that nobody delivered: read again from the beginning."""
        ...

    @property
    def position(self) -> Position | None:
        """How far the feed is applied; ``None`` before the first record."""
        ...

    @property
    def root_version(self) -> int:
        """Version of the root document in force; 0 before the first."""
        ...

    @property
    def wants_snapshot(self) -> bool:
        """Whether nothing is applied yet, or records have been missing for so long that a snapshot should help."""
        ...

    def report(self, state: str) -> None:
        """Say what the source is doing, for people: ``connecting``, ``reading``, ``waiting: …``."""
        ...


class Source(Protocol):
    """Something that follows the feed."""

    @property
    def name(self) -> str:
        """Names the source in reports."""
        ...

    async def run(self, sink: FeedSink) -> None:
        """Deliver until cancelled. Outages are reported and retried, never raised.

        Raises:
            SourceError: what was configured can never work.
        """
        ...
