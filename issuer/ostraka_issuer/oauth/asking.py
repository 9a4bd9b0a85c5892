"""What a client may have of what it asks for. Rules only."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ostraka_schemas.limits import PERMISSIONS_MAX
from ostraka_schemas.permissions import ANY, is_permission, overlaps

from .errors import InvalidRequest, InvalidScope, InvalidTarget
from .forms import Form

_SCOPE_MAX_CHARS: Final = 8 * 1024


def requested_permissions(form: Form) -> tuple[str, ...] | None:
    """What is asked for: ``scope`` or ``permissions``, joined by spaces (RFC 6749 §3.3); ``None`` for all there is.

    Raises:
        InvalidRequest: both are there. InvalidScope: one of them is no permission, or there are too many.
    """
    scope, permissions = form.get("scope"), form.get("permissions")
    if scope is not None and permissions is not None:
        raise InvalidRequest("scope and permissions are two names of the same; give one")
    asked = scope if scope is not None else permissions
    if asked is None:
        return None
    names = tuple(dict.fromkeys(asked[:_SCOPE_MAX_CHARS].split(" ")))
    if len(names) > PERMISSIONS_MAX or len(asked) > _SCOPE_MAX_CHARS or not all(map(is_permission, names)):
        raise InvalidScope("a scope is a list of permissions, resource:action, with one space in between")
    return names


def narrowed(
    held: Sequence[str], asked: Sequence[str] | None, allows: Callable[[str], bool] = lambda _: True
) -> tuple[str, ...]:
    """What is both held and asked for, never wider than either; a pattern may stand on both sides.

    Args:
        allows: whether what is held still allows a permission; parts of a pattern may be gone.

    Raises:
        InvalidScope: something was asked for, and nothing is left.
    """
    if asked is None:
        return tuple(permission for permission in held if allows(permission))
    both = (_meet(mine, theirs) for mine in held for theirs in asked if overlaps(mine, theirs))
    kept = tuple(dict.fromkeys(permission for permission in both if allows(permission)))
    if not kept:
        raise InvalidScope("nothing of what is asked for can be had")
    if len(kept) > PERMISSIONS_MAX:
        raise InvalidScope(f"a token carries at most {PERMISSIONS_MAX} permissions")
    return kept


def audience_for(form: Form, allowed: Sequence[str]) -> tuple[str, ...]:
    """Whom the token will be for: every ``audience`` of the form (RFC 8693 §2.1), or all that are allowed.

    Raises:
        InvalidTarget: one is not allowed, there is none, or a ``resource`` is named: audiences here are no addresses.
    """
    if form.all("resource"):
        raise InvalidTarget("audiences have names here; use audience instead of resource")
    wanted = tuple(dict.fromkeys(form.all("audience"))) or tuple(allowed)
    if not wanted or not set(wanted) <= set(allowed):
        raise InvalidTarget("the client may not ask for that audience")
    return wanted


def _meet(first: str, second: str) -> str:
    """What two patterns that overlap both mean: each side is a name or ``*``."""
    pairs = zip(first.split(":"), second.split(":"), strict=True)
    return ":".join(theirs if mine == ANY else mine for mine, theirs in pairs)


def scope_of(permissions: Iterable[str]) -> str | None:
    """Permissions as the member ``scope``; ``None`` if there are none: a scope is one at least (RFC 6749 §3.3)."""
    return " ".join(permissions) or None
