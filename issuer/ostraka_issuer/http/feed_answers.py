"""Answers to readers who all ask the same: made once."""

from collections import OrderedDict

from ostraka_issuer.feed.channel import Page
from ostraka_issuer.feed.follower import Beat
from ostraka_issuer.feed.frames import lines
from ostraka_issuer.limits import FEED_ANSWERS
from ostraka_schemas.records import Position


class Answers:
    """The latest answers.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int = FEED_ANSWERS) -> None:
        self._most = most
        self._made: OrderedDict[tuple[Position, Position, bytes], bytes] = OrderedDict()

    def text(self, place: Position, page: Page, beat: Beat | None) -> bytes:
        """The records after ``place``, one a line, and the heartbeat if nothing lies between it and them."""
        last = beat.raw if beat is not None and page.complete else b""
        key = place, page.until, last
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = lines([*(entry.raw for entry in page.entries), *([last] if last else [])])
            if len(self._made) > self._most:
                self._made.popitem(last=False)
        return made
