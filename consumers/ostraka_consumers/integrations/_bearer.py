"""What every integration needs: a refusal for those who bring no token, and requirements that cannot be empty."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from ostraka_consumers.errors import ConfigurationError, VerificationError
from ostraka_consumers.verifier import Grace
from ostraka_schemas.permissions import is_permission


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


def check_permissions(permissions: Sequence[str]) -> None:
    """See that each is a permission.

    Raises:
        ConfigurationError: one is not of the form ``resource:action``.
    """
    for permission in permissions:
        if not is_permission(permission):
            raise ConfigurationError(f"{permission!r} is not a permission: write resource:action, e.g. orders:create")


def check_requirement(permissions: Sequence[str]) -> None:
    """See that a requirement names permissions, and at least one: an empty one would let everybody in.

    Raises:
        ConfigurationError
    """
    if not permissions:
        raise ConfigurationError("requires() needs at least one permission; for any good token use current_grant")
    check_permissions(permissions)
