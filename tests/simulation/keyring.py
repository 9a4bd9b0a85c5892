"""The token keys of a simulated issuer, and what becomes of each."""

from typing import Final

from ostraka_schemas.events import KeyState

KEYS_MAX: Final = 4
"""Keys in a key set."""
LEAD: Final = 70.0
"""Seconds a key is announced before it signs: longer than any verifier decides without news."""
LINGER: Final = 20
"""Seconds after the end of its last token until a key goes."""


class Keyring:
    """Keys by number, with the state of each.

    Attributes:
        signer: the key that signs since the feed last said so; 0 for none.
    """

    def __init__(self) -> None:
        self.signer = 0
        self._states: dict[int, KeyState] = {1: "active"}
        self._announced: dict[int, float] = {}
        self._last_exp: dict[int, int] = {}
        self._gone = 0

    @property
    def published(self) -> tuple[str, ...]:
        """The key set as ``number:state``."""
        return tuple(f"{number}:{state}" for number, state in self._states.items())

    @property
    def usable(self) -> int:
        """The key to sign a token with; 0 for none."""
        return self.signer if self._states.get(self.signer) in ("active", "deactivated") else 0

    def announce(self, published: tuple[str, ...], at: float) -> None:
        """A key set was given its place in the feed: from now on its active key signs."""
        self.signer = 0
        for entry in published:
            number, _, state = entry.partition(":")
            self._announced.setdefault(int(number), at)
            if state == "active":
                self.signer = int(number)

    def note(self, number: int, exp: int) -> None:
        """Remember how long a token of this key lives."""
        self._last_exp[number] = max(self._last_exp.get(number, 0), exp)

    def rotate(self, at: float, now: int) -> bool:
        """Do what is due: activate the key announced long enough ago, announce one, or let one go that has done.

        Args:
            at: seconds since the beginning.
            now: seconds since the epoch.

        Returns:
            Whether anything was.
        """
        ahead = self._in_state("pre-activation")
        due = [n for n in ahead if at - self._announced.get(n, at) >= LEAD]
        done = [n for n in self._in_state("deactivated") if self._last_exp.get(n, 0) + LINGER < now]
        before = self.published
        if due:
            self._states.update(dict.fromkeys(self._in_state("active"), "deactivated"))
            self._states[due[0]] = "active"
        elif not ahead and len(self._states) < KEYS_MAX:
            self._states[max(self._states) + 1] = "pre-activation"
        elif done:
            self._let_go(done[0])
        return self.published != before

    def _let_go(self, number: int) -> None:
        self._gone += 1
        if self._gone % 2:
            self._states[number] = "destroyed"
        else:
            del self._states[number]

    def compromise(self) -> bool:
        """Give up the key that signs, and go on with another at once. Whether there is another."""
        active, ahead = self._in_state("active"), self._in_state("pre-activation")
        if not active or (not ahead and len(self._states) >= KEYS_MAX):
            return False
        self._states[active[0]] = "compromised"
        self._states[ahead[0] if ahead else max(self._states) + 1] = "active"
        return True

    def _in_state(self, wanted: KeyState) -> list[int]:
        return [number for number, state in self._states.items() if state == wanted]
