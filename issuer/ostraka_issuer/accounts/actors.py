"""Who asks for a change, and what they may hand out: nobody gives what they do not have."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ostraka_issuer.errors import Forbidden


def _everything(_permission: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever asks for a change.

    Attributes:
        id: for the audit trail: ``sub`` of the caller, or how a command on the home itself is called.
        allows: whether they have a permission themselves. Whoever works on the home has all.
    """

    id: str
    allows: Callable[[str], bool] = field(default=_everything, repr=False)

    def must_hold(self, permissions: Iterable[str]) -> None:
        """Insist that the actor has all of ``permissions``, which somebody is about to get through them.

        Else ``users:write`` alone would be everything: a grant to oneself, or the password of whoever has it.

        Raises:
            Forbidden: names the first that they lack.
        """
        for permission in permissions:
            if not self.allows(permission):
                raise Forbidden(f"nobody hands out what they do not have themselves: {permission}")


HOME: Actor = Actor("home")
"""Whoever works on the home or its database without a login."""
