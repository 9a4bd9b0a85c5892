"""The hostile bus: each verifier has a log of its own, so each can be shown something else.

What stands in a log and was not read yet can be dropped, repeated, moved, altered; anything can be put there by anyone.
"""

from collections.abc import Callable
from random import Random


class Link:
    """A log as one verifier sees it, and how far it has read.

    Attributes:
        frozen: nothing gets through; it waits.
        withholding: records vanish, heartbeats get through.
    """

    def __init__(self) -> None:
        self.log: list[bytes] = []
        self.at = 0
        self.frozen = False
        self.withholding = False

    @property
    def pending(self) -> int:
        """How much was not read yet."""
        return len(self.log) - self.at

    def publish(self, raw: bytes, *, record: bool) -> None:
        """Take what the issuer sends."""
        if not (record and self.withholding):
            self.log.append(raw)

    def read(self, most: int) -> list[bytes]:
        """The next entries, if the link lets anything through."""
        if self.frozen:
            return []
        found = self.log[self.at : self.at + most]
        self.at += len(found)
        return found

    def rewind(self) -> None:
        """Read again from what is the beginning by now."""
        self.at = 0

    # --- what whoever owns the bus can do ---

    def drop(self, number: int) -> bytes | None:
        """Lose one entry that was not read yet."""
        return self.log.pop(self._pick(number)) if self.pending else None

    def repeat(self, number: int, place: int) -> bytes | None:
        """Put one entry there once more, anywhere in what was not read yet."""
        if not self.pending:
            return None
        raw = self.log[self._pick(number)]
        self.insert(raw, place)
        return raw

    def insert(self, raw: bytes, place: int) -> None:
        """Put anything anywhere into what was not read yet."""
        self.log.insert(self.at + place % (self.pending + 1), raw)

    def shuffle(self, seed: int) -> int:
        """Put what was not read yet into another order."""
        rest = self.log[self.at :]
        Random(seed).shuffle(rest)
        self.log[self.at :] = rest
        return len(rest)

    def alter(self, number: int, how: Callable[[bytes], bytes]) -> bytes | None:
        """Replace one entry that was not read yet by something made from it."""
        if not self.pending:
            return None
        place = self._pick(number)
        self.log[place] = how(self.log[place])
        return self.log[place]

    def forget(self, count: int) -> int:
        """Retention: the first entries go, read or not."""
        gone = min(count, len(self.log))
        del self.log[:gone]
        self.at = max(0, self.at - gone)
        return gone

    def heal(self, log: list[bytes]) -> None:
        """Lose nothing any more: the log holds what the issuer sent, and is read from the beginning."""
        self.log = list(log)
        self.at = 0
        self.frozen = self.withholding = False

    def _pick(self, number: int) -> int:
        return self.at + number % self.pending
