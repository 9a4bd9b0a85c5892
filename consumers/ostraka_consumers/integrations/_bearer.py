"""What every integration needs: a refusal for those who bring no token, and requirements that cannot be empty."""

from collections.abc import Sequence

from ostraka_consumers.errors import ConfigurationError, VerificationError
from ostraka_schemas.permissions import is_permission


class NoToken(VerificationError):
    """There is no bearer token. RFC 6750 §3.1: then no error code is given."""

    code = "no_token"
    error = None


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
