"""A verifier's state directory without a file system: what it was told to keep, read back by the real reader.

It can be lost, be an older copy, or end in damaged bytes.
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from ostraka_consumers.persistence.frames import Frame
from ostraka_consumers.persistence.replay import Replay
from ostraka_consumers.trust.receipt import Kind, Receipt, Taken
from ostraka_schemas.records import Position


class Disk:
    """Root documents, a snapshot, and the records after it, in the order in which they took effect."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []

    def offer(self, taken: Taken) -> None:
        """Keep what took effect."""
        self.taken.append(taken)

    @property
    def position(self) -> Position | None:
        """How far the feed was applied."""
        return max((taken.position for taken in self.taken if taken.position is not None), default=None)

    def older(self, number: int) -> "Disk":
        """A copy from before."""
        copy = Disk()
        copy.taken = self.taken[: number % (len(self.taken) + 1)]
        return copy

    def damaged(self, number: int) -> "Disk":
        """The same with one entry altered."""
        copy = Disk()
        copy.taken = list(self.taken)
        if copy.taken:
            at = number % len(copy.taken)
            kind, raws, position = copy.taken[at]
            copy.taken[at] = Taken(kind, (raws[0][: len(raws[0]) // 2], *raws[1:]), position)
        return copy

    def read_back(self, deliver: Callable[[bytes], Receipt], applied: Callable[[], Position | None]) -> None:
        """Deliver all of it to a verifier that starts."""
        snapshot, journal = self._files()
        roots = [taken.raws[0] for taken in self.taken if taken.kind is Kind.ROOT]
        _drive(Replay(deliver, applied, roots).run(_once(snapshot), _once(journal)))

    def _files(self) -> tuple[tuple[bytes, ...], list[bytes]]:
        snapshot: tuple[bytes, ...] = ()
        journal: list[bytes] = []
        for kind, raws, position in self.taken:
            if kind is Kind.SNAPSHOT:
                snapshot, journal = raws, []
            elif kind is Kind.RECORD and position is not None and position.seq == 1:
                snapshot, journal = (), [raws[0]]
            elif snapshot or journal:
                journal.append(raws[0])
        return snapshot, journal


def _once(payloads: Iterable[bytes]) -> Any:
    batches = [[Frame(payload, 0) for payload in payloads]]

    async def next_batch() -> list[Frame]:
        return batches.pop() if batches else []

    return next_batch


def _drive(task: Coroutine[Any, Any, Any]) -> None:
    """Run what only ever waits for its next turn."""
    try:
        while True:
            task.send(None)
    except StopIteration:
        pass
