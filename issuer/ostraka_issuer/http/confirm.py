"""From a commit to its place in the feed, and on to the bus."""

from typing import NamedTuple

from ostraka_issuer.errors import FeedDown
from ostraka_issuer.limits import CONFIRM_WAIT
from ostraka_issuer.runtime import Issuer


class Confirmation(NamedTuple):
    """Where a committed change stands in the feed, and whether the broker has it.

    ``seq`` is ``None`` while it waits for a place. What is not published is committed all the same, and will be.
    """

    epoch: int | None
    seq: int | None
    published: bool

    @property
    def http_status(self) -> int:
        """200 once it has its place, 202 before (RFC 9110 §15.3.3)."""
        return 202 if self.seq is None else 200


async def confirm(issuer: Issuer, txn: str) -> Confirmation:
    """Wait, within bounds, for the place of a committed change and for the broker's acknowledgement.

    Raises:
        IntentSetAside: it cannot be put into the feed.
        StoreUnavailable
    """
    try:
        place = await issuer.feed.position_of(txn, CONFIRM_WAIT)
    except FeedDown:
        # It is committed all the same and will be sequenced when the feed runs again.
        place = None
    if place is None:
        return Confirmation(None, None, published=False)
    return Confirmation(*place, published=await issuer.feed.is_published(place))
