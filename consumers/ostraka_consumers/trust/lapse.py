"""Why a token that was accepted is not good any more: what is asked of a grant for as long as somebody holds it.

The rules are those of a decision, in its order, without the parts that cannot change:

1. A new epoch of the feed is a cut-off for everyone.
2. The key must still be in force, be the same, and allow a token of this time and length.
3. ``exp`` has not passed.
4. Deny list, then all cut-offs that apply.
5. There is news, as young as whoever holds the grant asked for; or it was to go on without, and nothing is in doubt.
6. Every requirement that was asked of it is still met.

A clock that is set back ends nothing: what has begun does not become "not yet".
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from ostraka_consumers.errors import PermissionDenied, Revoked, Stale, UnknownKey, VerificationError
from ostraka_consumers.requirements import Requirement
from ostraka_schemas.permissions import covered_by_any

from .core import TrustCore
from .instant import Instant
from .tokens import GenuineToken, key_allows, usable_key

Asked = tuple["str | Requirement", ...]
"""Requirements that were asked of a grant, all of which must go on being met."""


class Patience(NamedTuple):
    """How long whoever holds a grant bears to be without news.

    Attributes:
        max_staleness: seconds; the verifier's own bound holds as well.
        grace: go on until the token's end while there is no news, unless there is doubt.
    """

    max_staleness: float
    grace: bool

    def is_out(self, core: TrustCore, now: float) -> bool:
        """Whether it has come to its end at ``now`` (seconds since the epoch)."""
        try:
            core.check_staleness(now, self.max_staleness)
        except Stale:
            return not self.grace or core.doubted
        return False

    def left(self, core: TrustCore, at: Instant) -> float:
        """Seconds for which it lasts without further news."""
        if self.grace and not core.doubted:
            return math.inf
        age = core.age(at)
        return 0.0 if age is None else min(self.max_staleness, core.max_staleness) - age


class Standing(NamedTuple):
    """A token beside the state it is judged by, for requirements to be asked of."""

    core: TrustCore
    token: GenuineToken

    def allows(self, permission: str, /) -> bool:
        """Whether the token carries it, and nothing later took it away."""
        return covered_by_any(self.token.claims.permissions, permission) and self.core.allows(self.token, permission)


def why_over(
    core: TrustCore, token: GenuineToken, asked: Asked, patience: Patience, now: float
) -> VerificationError | None:
    """What a decision would say now (seconds since the epoch); ``None`` while the grant lives."""
    try:
        _check_epoch(core, token)
        _check_key(core, token)
        core.check_end(token, now)
        core.check_revocation(token)
        if patience.is_out(core, now):
            core.check_staleness(now, patience.max_staleness)
        _check_asked(Standing(core, token), asked)
    except VerificationError as over:
        # Without the frames it came through, or each end would hold on to them.
        return over.with_traceback(None)
    return None


def permissions_in(asked: Asked) -> Iterator[str]:
    """Every permission, or pattern of them, that is named in requirements."""
    for part in asked:
        if isinstance(part, Requirement):
            yield from permissions_in(part.parts)
        else:
            yield part


def _check_epoch(core: TrustCore, token: GenuineToken) -> None:
    root, fv = core.root_in_force, token.minted.fv
    if root is not None and fv is not None and fv.epoch < root.epoch:
        raise Revoked("every older token is cut off: the feed has a new epoch")


def _check_key(core: TrustCore, token: GenuineToken) -> None:
    if core.holds_key_of(token):
        return
    then = token.trusted.key
    trusted = usable_key(core.keys.get(then.kid))
    if (trusted.key.alg, trusted.key.jwk) != (then.alg, then.jwk):
        raise UnknownKey("another key has the name of the one that signed this token")
    if not key_allows(token.claims, trusted):
        raise UnknownKey("the key no longer signs tokens of that time or length")


def _check_asked(standing: Standing, asked: Asked) -> None:
    for part in asked:
        met = part.is_met_by(standing) if isinstance(part, Requirement) else standing.allows(part)
        if not met:
            raise PermissionDenied(f"this needs the permission {part}")
