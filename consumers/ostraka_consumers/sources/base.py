"""The seam between the trust core and whatever brings bytes to it.

A source decides nothing: it delivers bytes in whatever order it has them and is told what became of them.
"""

from typing import Protocol

from ostraka_consumers.trust.receipt import Receipt


class FeedSink(Protocol):
    """Where a source delivers to."""

    def deliver(self, raw: bytes) -> Receipt:
        """Hand over one record, heartbeat or whatever was found. Never raises."""
        ...

    def silence(self) -> float:
        """Seconds since the newest verified record or heartbeat came in; infinite before the first."""
        ...

    @property
    def incomplete(self) -> bool:
        """Whether records are known to exist that nobody delivered: read again from the beginning."""
        ...

    def report(self, source: str, state: str) -> None:
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
