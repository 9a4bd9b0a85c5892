"""The keys that may sign the feed, as one root document names them."""

from typing import Final

from ostraka_schemas import jws
from ostraka_schemas.errors import MalformedError, SignatureMismatch, UnsupportedKeyError
from ostraka_schemas.jwk import VerificationKey
from ostraka_schemas.root import RootDocument

from .refused import Refused

OVER: Final = "feed_key_expired"


class FeedKeys:
    """Verifies what they sign."""

    def __init__(self, root: RootDocument) -> None:
        self._ends: Final = min(root.feed.exp, root.exp)
        self._keys: Final[dict[str, VerificationKey]] = {key.kid: key for key in root.feed_keys()}

    def __contains__(self, kid: str) -> bool:
        return kid in self._keys

    def are_over(self, now: float) -> bool:
        """Whether the time has passed in which they may sign."""
        return now > self._ends

    def check(self, compact: jws.Compact, header: jws.Header, now: float) -> None:
        """Whether one of them has signed this, in its time.

        Raises:
            Refused
        """
        key = self._keys.get(header.kid)
        if key is None:
            raise Refused("unknown_key")
        if self.are_over(now):
            raise Refused(OVER)
        try:
            jws.check(compact, header, key)
        except SignatureMismatch:
            raise Refused("bad_signature") from None
        except (MalformedError, UnsupportedKeyError):
            raise Refused("malformed") from None
