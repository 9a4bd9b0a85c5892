"""Where the issuer's own verifier starts from: a stored snapshot, seen to be one that it will take."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from ostraka_schemas.records import Position

from ..store import Store
from ..store.snapshots import read_snapshot
from .log import FeedLog
from .regime import InForce
from .roots import Roots
from .snapshot import read_parts


class Start(NamedTuple):
    """What a verifier is given before the records.

    Attributes:
        roots: every root document that is in the feed, in ascending versions.
        parts: a whole snapshot.
        position: where it leads to.
    """

    roots: Sequence[bytes]
    parts: Sequence[bytes]
    position: Position


FindStart = Callable[[], Awaitable[Start | None]]


async def nowhere() -> Start | None:
    """There is no snapshot."""
    return None


def stored_start(
    store: Store, log: FeedLog, roots: Roots, in_force: Callable[[], InForce], *, issuer: str
) -> FindStart:
    """Finds the stored snapshot, if it belongs to this feed as it is now.

    A verifier that was given the newest root document does not read what was signed before it. So what is found here
    must be good before anything is delivered; after that, there is no way back to the first record.
    """

    async def find() -> Start | None:
        now = in_force()
        if now.root is None:
            return None
        parts = await read_snapshot(store)
        snapshot = await read_parts(parts, now.root.feed_keys(), iss=issuer)
        if snapshot is None:
            return None
        head = snapshot.head
        if head.position.epoch != now.epoch or await log.hash_at(head.position) != head.hash:
            return None
        return Start(await roots.signed_roots(), parts, head.position)

    return find
