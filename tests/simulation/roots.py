"""Root documents of a simulated issuer: two of three root keys sign, one key is replaced at a time."""

from functools import cache
from typing import Any, Final, NamedTuple

from ostraka_schemas.events import RootPublished
from ostraka_schemas.root import FeedRole, Limits, RootDocument, RootRole, root_bytes, sign_root

from .clock import START
from .names import ISSUER, key

YEAR: Final = 365 * 24 * 3600
LIMITS: Final = Limits(token_algorithms=["EdDSA"], token_lifetime=300)
THRESHOLD: Final = 2


class Root(NamedTuple):
    """What a root document says.

    Attributes:
        first: the number of the first of its three root keys.
        feed: the numbers of the feed keys it names; the last one signs.
    """

    version: int
    epoch: int
    first: int
    feed: tuple[int, ...]

    @property
    def root_names(self) -> tuple[str, ...]:
        """The names of its root keys."""
        return tuple(f"root {number}" for number in range(self.first, self.first + 3))

    @property
    def feed_name(self) -> str:
        """The name of the feed key that signs."""
        return f"feed {self.feed[-1]}"


FIRST: Final = Root(1, 1, 1, (1,))
ANCHORED: Final = tuple(key(name).public.thumbprint for name in FIRST.root_names)


@cache
def signed(root: Root, signers: tuple[str, ...]) -> dict[str, Any]:
    """The document, signed by these root keys."""
    document = RootDocument(
        iss=ISSUER,
        version=root.version,
        epoch=root.epoch,
        iat=int(START),
        exp=int(START) + YEAR,
        root=RootRole(keys=[key(name).public.to_jwk() for name in root.root_names], threshold=THRESHOLD),
        feed=FeedRole(keys=[key(f"feed {n}").public.to_jwk() for n in root.feed], exp=int(START) + YEAR),
        limits=LIMITS,
    )
    return sign_root(document, [key(name) for name in signers])


@cache
def event(root: Root) -> RootPublished:
    """The document as a record brings it, signed by two keys that the version before it names as well."""
    return RootPublished(**signed(root, root.root_names[:THRESHOLD]))


@cache
def travelling(root: Root) -> bytes:
    """The document as it travels alone."""
    return root_bytes(signed(root, root.root_names[:THRESHOLD]))
