"""What lies in the topic of the snapshots, as far as it can be said without keys: which parts would make a whole.

Nothing here is believed. It only says what to hand over first, and whoever writes rubbish there costs some time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ostraka_consumers import limits
from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.errors import WireError
from ostraka_schemas.limits import SEQ_MAX, SNAPSHOT_PART_MAX_BYTES, SNAPSHOT_PARTS_MAX
from ostraka_schemas.snapshots import SNAPSHOT

ROOT_MARK: Final = b"{"

_HASH_CHARS: Final = 43
"""SHA-256 in base64url."""


class Title(NamedTuple):
    """What the parts of one snapshot have in common. Titles compare by age."""

    epoch: int
    seq: int
    iat: int
    parts: int
    hash: str


class Label(NamedTuple):
    """What one part says about itself."""

    title: Title
    part: int


def read_label(raw: bytes) -> Label | None:
    """The label of what may be a part of a snapshot; ``None`` for whatever is none."""
    try:
        compact = jws.split(raw, max_bytes=SNAPSHOT_PART_MAX_BYTES)
        members = strict_json.loads_object(base64url.decode(compact.payload))
    except WireError:
        return None
    return _label(members)


def _label(members: dict[str, Any]) -> Label | None:
    feed, events = members.get("feed"), members.get("events")
    content = events.get(SNAPSHOT) if isinstance(events, dict) else None
    if not isinstance(feed, dict) or not isinstance(content, dict):
        return None
    numbers = feed.get("epoch"), feed.get("seq"), members.get("iat"), content.get("parts"), content.get("part")
    hash_ = feed.get("hash")
    if not all(type(number) is int and 0 <= number <= SEQ_MAX for number in numbers):
        return None
    if not isinstance(hash_, str) or len(hash_) != _HASH_CHARS:
        return None
    epoch, seq, iat, parts, part = (int(number) for number in numbers if number is not None)
    if not 1 <= part <= parts <= SNAPSHOT_PARTS_MAX:
        return None
    return Label(Title(epoch, seq, iat, parts, hash_), part)


@dataclass
class Shelf:
    """The parts seen so far: for each title, at which offset lies which part. Several may claim to be the same one."""

    _found: dict[Title, dict[int, int]] = field(default_factory=dict)
    _taken: set[Title] = field(default_factory=set)

    def put(self, offset: int, label: Label) -> None:
        """Take note of a part; not of one of yet another snapshot when there are ``SNAPSHOT_TITLES_MAX``."""
        if label.title in self._found or len(self._found) < limits.SNAPSHOT_TITLES_MAX:
            self._found.setdefault(label.title, {})[offset] = label.part

    def newest_whole(self) -> Title | None:
        """The newest of which every part was seen and that was not taken yet."""
        whole = (
            title
            for title, parts in self._found.items()
            if title not in self._taken and len(set(parts.values())) == title.parts
        )
        return max(whole, default=None)

    def take(self, title: Title) -> dict[int, int]:
        """The offsets of its parts, and which part lies there. It is not offered again."""
        self._taken.add(title)
        return self._found[title]

    def put_all_back(self) -> None:
        """Offer again what was taken, because something has changed."""
        self._taken.clear()


def windows(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Stretches of the log from its end backwards, each some times as long as the one before, within bounds."""
    high, size = end, limits.SNAPSHOT_WINDOW
    while high > begin and end - high < limits.SNAPSHOT_SCAN_MAX:
        low = max(begin, high - size)
        yield low, high
        high, size = low, size * limits.SNAPSHOT_WINDOW_GROWTH
