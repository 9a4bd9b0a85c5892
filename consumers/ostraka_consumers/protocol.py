"""What an integration needs of whatever decides: one issuer's verifier, or several behind one question."""

import math
from typing import Protocol, runtime_checkable

from .clock import Clock
from .grant import Grant
from .verifier import Grace

__all__ = ["TokenVerifier"]


@runtime_checkable
class TokenVerifier(Protocol):
    """Decides, locally and at once, what a token still allows. ``Verifier`` and ``MultiIssuerVerifier`` do."""

    @property
    def clock(self) -> Clock:
        """The clock it judges by."""
        ...

    def verify(self, token: str | bytes, *, max_staleness: float = math.inf, grace: Grace | None = None) -> Grant:
        """Decide on an access token; see ``Verifier.verify``.

        Raises:
            VerificationError: one of its subclasses says why not.
        """
        ...
