"""From a commit to its place in the feed."""

from ostraka_issuer.errors import FeedDown
from ostraka_issuer.limits import CONFIRM_WAIT
from ostraka_issuer.runtime import Issuer
from ostraka_schemas.records import Position


async def place_of(issuer: Issuer, txn: str) -> Position | None:
    """The place of a committed change, waited for within bounds; ``None`` if it must still wait for one.

    Raises:
        IntentSetAside: it cannot be put into the feed.
        StoreUnavailable
    """
    try:
        return await issuer.feed.position_of(txn, CONFIRM_WAIT)
    except FeedDown:
        # It is committed all the same and will be sequenced when the feed runs again.
        return None
