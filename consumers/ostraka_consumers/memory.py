"""Tokens verified before, by their exact bytes: the signature of the same bytes need not be checked twice.

Bounded by two generations: when the young one is full it becomes the old one, and the old one goes. Only genuine tokens
come in, so a flood of garbage drives nothing out.
"""

from typing import Generic, TypeVar

T = TypeVar("T")


class Memory(Generic[T]):
    """Remembers at most ``capacity`` values, the least used going first, roughly."""

    def __init__(self, capacity: int) -> None:
        self._half = max(1, capacity // 2)
        self._capacity = capacity
        self._young: dict[str | bytes, T] = {}
        self._old: dict[str | bytes, T] = {}

    def get(self, key: str | bytes) -> T | None:
        """The value of ``key``, if it is still remembered."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: str | bytes, value: T) -> None:
        """Remember ``value``."""
        if self._capacity <= 0:
            return
        if len(self._young) >= self._half and key not in self._young:
            self._old, self._young = (self._young if self._capacity > 1 else {}), {}
        self._young[key] = value

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
