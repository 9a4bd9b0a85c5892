"""What every integration needs: a refusal for those who bring no token, and requirements that cannot be empty."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from ostraka_consumers.errors import ConfigurationError, Malformed, VerificationError
from ostraka_consumers.requirements import Requirement, all_of
from ostraka_consumers.verifier import Grace

_SCHEME: Final = "bearer"


class NoToken(VerificationError):
    """There is no bearer token. RFC 6750 §3.1: then no error code is given."""

    code = "no_token"
    error = None


class Freshness(NamedTuple):
    """How much staleness a route or handler bears; see ``Verifier.verify``.

    Attributes:
        max_staleness: seconds without news from the feed, if less than the verifier's own.
        grace: whether good tokens are accepted until their end while there is no news at all.
    """

    max_staleness: float = math.inf
    grace: Grace | None = None


AS_EVER: Final = Freshness()
"""As much as the verifier itself bears, and no grace."""


def checked_freshness(max_staleness: float, grace: Grace | None) -> Freshness:
    """See that both can be meant.

    Raises:
        ConfigurationError: a bound that is not above zero, or a grace that there is not.
    """
    given: object = max_staleness
    if not isinstance(given, int | float) or not given > 0:
        raise ConfigurationError("max_staleness is a number of seconds above zero")
    if grace not in (None, "until_exp"):
        raise ConfigurationError(f'{grace!r} is no grace: write grace="until_exp", or leave it out')
    return Freshness(max_staleness, grace)


def bearer_of(values: Sequence[str]) -> str:
    """The token of a request with these ``Authorization`` headers: one, ``Bearer`` and a token (RFC 6750 §2.1).

    Raises:
        NoToken, Malformed
    """
    if not values:
        raise NoToken("a bearer token is needed")
    if len(values) > 1:
        raise Malformed("more than one Authorization header")
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != _SCHEME:
        raise NoToken("a bearer token is needed")
    return token.strip(" ")


def requirement_of(permissions: Sequence[str | Requirement]) -> Requirement:
    """What ``requires(…)`` asks: all that it was given, which must be something.

    Raises:
        ConfigurationError: nothing was named, or what is no permission.
    """
    if not permissions:
        raise ConfigurationError("requires() needs at least one permission; for any good token use current_grant")
    first = permissions[0]
    return first if len(permissions) == 1 and isinstance(first, Requirement) else all_of(*permissions)


def requirement_or_none(asked: str | Requirement | Sequence[str | Requirement] | None) -> Requirement | None:
    """What everything that comes must meet; ``None`` asks for a good token only.

    Raises:
        ConfigurationError: it is empty, which is not the same as none, or no permission.
    """
    if asked is None or isinstance(asked, Requirement):
        return asked
    if isinstance(asked, str):
        return all_of(asked)
    if not asked:
        raise ConfigurationError("an empty requirement would let everybody in; for any good token leave it out")
    return all_of(*asked)
