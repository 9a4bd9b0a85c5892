"""How a simulated issuer knows the whole state: it reads its own feed, as a real one does."""

from collections.abc import Sequence
from typing import Final

from ostraka_consumers import TrustAnchor
from ostraka_consumers.clock import Instant
from ostraka_consumers.trust.core import TrustCore
from ostraka_consumers.trust.snapshot import contents_of
from ostraka_schemas.records import Head
from ostraka_schemas.snapshots import Contents

from .names import ISSUER
from .roots import ANCHORED, Root, travelling

ANCHOR: Final = TrustAnchor(ISSUER, ANCHORED)


class OwnReader:
    """Reads one epoch."""

    def __init__(self) -> None:
        self._core = TrustCore(ANCHOR)
        self._read = 0

    def state_at(self, head: Head, roots: Sequence[Root], feed: Sequence[bytes], at: Instant) -> Contents | None:
        """The state at ``head``, unless that cannot be reached.

        Args:
            roots: every root document so far; those of the epoch come with its records.
            feed: the records of the epoch, and the newest heartbeat.
        """
        core = self._core
        for root in roots[core.root_version :]:
            if root.epoch < head.position.epoch:
                core.receive(travelling(root), at)
        for raw in feed[self._read :]:
            core.receive(raw, at)
        self._read = max(0, len(feed) - 1)
        return contents_of(core.state) if core.head == head and core.state is not None else None
