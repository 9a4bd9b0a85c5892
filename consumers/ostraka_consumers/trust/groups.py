"""Things by what they have in common. One that shares with nobody costs an entry of a dictionary and no set."""

from collections.abc import Collection, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Groups(Generic[K, T]):
    """Sets of things by key. A thing is told from others by its identity and must be no set itself."""

    def __init__(self) -> None:
        self._of: dict[K, T | set[T]] = {}

    def add(self, key: K, thing: T) -> None:
        """Put ``thing`` into the group of ``key``."""
        found = self._of.get(key)
        if found is None:
            self._of[key] = thing
        elif isinstance(found, set):
            found.add(thing)
        elif found is not thing:
            self._of[key] = {found, thing}

    def discard(self, key: K, thing: T) -> None:
        """Take it out, if it is there. A group that is empty is gone."""
        found = self._of.get(key)
        if found is thing:
            del self._of[key]
        elif isinstance(found, set):
            found.discard(thing)
            if not found:
                del self._of[key]

    def of(self, key: K) -> Collection[T]:
        """Everything in the group of ``key``. To be read before the next change."""
        found = self._of.get(key)
        if found is None:
            return ()
        return found if isinstance(found, set) else (found,)

    def __iter__(self) -> Iterator[K]:
        return iter(self._of)

    def __contains__(self, key: object) -> bool:
        return key in self._of

    def __len__(self) -> int:
        return len(self._of)
