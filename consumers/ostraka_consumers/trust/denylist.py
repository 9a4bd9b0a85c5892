"""The deny list: ids of single tokens that are dead.

One set of 128-bit integers a bucket of expiry. A look-up asks at most ``DENY_BUCKETS`` sets, however many entries there
are; forgetting drops whole buckets. An entry never leaves before its time, and outstays it by less than one bucket.
Only if times lie further apart than a token can live, the last bucket takes what would need another, and outstays more.
"""

from collections.abc import Iterable
from hashlib import sha256
from math import ceil
from typing import Final

from ostraka_consumers.limits import DENY_BUCKET_MIN_SECONDS, DENY_BUCKETS
from ostraka_schemas import base64url
from ostraka_schemas.errors import MalformedError

_ID_CHARS = 22  # 128 bits in base64url


def token_number(jti: str) -> int:
    """The 128-bit integer that stands for a token id: its value if it is one of ours, else a hash of it."""
    if len(jti) == _ID_CHARS:
        try:
            return int.from_bytes(base64url.decode_text(jti, size=16))
        except MalformedError:
            pass
    return int.from_bytes(sha256(jti.encode("utf-8", "surrogatepass")).digest()[:16])


class DenyList:
    """Token numbers with the time after which each may be forgotten.

    Args:
        span: the longest time, in seconds, for which an entry is kept.
    """

    def __init__(self, span: int) -> None:
        self.span: Final = span
        self._width = max(DENY_BUCKET_MIN_SECONDS, ceil(span / (DENY_BUCKETS - 1)))
        self._buckets: dict[int, set[int]] = {}
        self._sets: tuple[set[int], ...] = ()

    def add(self, number: int, expires: float) -> None:
        """Deny ``number`` at least until ``expires`` (seconds since the epoch)."""
        self._bucket(expires).add(number)

    def add_many(self, numbers: Iterable[int], expires: float) -> None:
        """Deny all of ``numbers`` at least until ``expires``."""
        self._bucket(expires).update(numbers)

    def absorb(self, other: "DenyList") -> None:
        """Take everything from a list of the same span, which is empty then: only what must be is copied."""
        theirs = other.release()
        if not self._buckets:
            self._buckets, theirs = theirs, {}
        for index, numbers in theirs.items():
            self._bucket(index * self._width).update(numbers)
        self._sets = tuple(self._buckets.values())

    def release(self) -> dict[int, set[int]]:
        """Give away all buckets, by index."""
        given, self._buckets, self._sets = self._buckets, {}, ()
        return given

    def kept(self) -> list[tuple[int, tuple[int, ...]]]:
        """What is denied now, in groups with the last whole second of their time: ``add_many`` makes the same of it."""
        return [((index + 1) * self._width - 1, tuple(bucket)) for index, bucket in sorted(self._buckets.items())]

    def _bucket(self, expires: float) -> set[int]:
        index = int(expires // self._width)
        bucket = self._buckets.get(index)
        return self._bucket_for(index) if bucket is None else bucket

    def _bucket_for(self, index: int) -> set[int]:
        if len(self._buckets) < DENY_BUCKETS:
            bucket = self._buckets[index] = set()
        else:
            last = max(self._buckets)
            bucket = self._buckets[max(last, index)] = self._buckets.pop(last)
        self._sets = tuple(self._buckets.values())
        return bucket

    def __contains__(self, number: int) -> bool:
        # A plain loop: any() with a generator costs three times as much here.
        for bucket in self._sets:  # noqa: SIM110
            if number in bucket:
                return True
        return False

    def __len__(self) -> int:
        return sum(map(len, self._sets))

    def forget(self, now: float) -> None:
        """Drop every bucket that lies wholly before ``now``."""
        current = int(now // self._width)
        gone = [index for index in self._buckets if index < current]
        for index in gone:
            del self._buckets[index]
        if gone:
            self._sets = tuple(self._buckets.values())
