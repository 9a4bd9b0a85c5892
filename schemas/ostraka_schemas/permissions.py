"""Permissions: ``resource:action``, where either side may be ``*``.

A pattern may stand on every side of the question: in the token (``orders:*``), in what a service requires, and in what
an operator revokes. So sets are never computed; three questions are asked instead.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

from .limits import PERMISSION_MAX_CHARS

ANY: Final = "*"
_PART = r"(?:\*|[A-Za-z0-9][A-Za-z0-9._\-]*)"
_PERMISSION: Final = re.compile(rf"{_PART}:{_PART}", re.ASCII)


def is_permission(text: object) -> bool:
    """Whether ``text`` is a permission or a pattern of permissions."""
    return isinstance(text, str) and len(text) <= PERMISSION_MAX_CHARS and _PERMISSION.fullmatch(text) is not None


def _check(text: str) -> str:
    if _PERMISSION.fullmatch(text) is None:
        raise ValueError("a permission is resource:action, each of A-Z a-z 0-9 . _ - or a single *")
    return text


Permission = Annotated[str, StringConstraints(max_length=PERMISSION_MAX_CHARS), AfterValidator(_check)]
"""A permission or a pattern, checked by pydantic."""


def covers(pattern: str, permission: str) -> bool:
    """Whether everything that ``permission`` stands for is also meant by ``pattern``.

    ``*`` in ``permission`` stands for all of them, so only ``*`` covers it.
    """
    if pattern == permission:
        return True
    resource, _, action = pattern.partition(":")
    wanted_resource, _, wanted_action = permission.partition(":")
    return resource in (ANY, wanted_resource) and action in (ANY, wanted_action)


def covered_by_any(patterns: Iterable[str], permission: str) -> bool:
    """Whether one of ``patterns`` covers ``permission``."""
    return any(covers(pattern, permission) for pattern in patterns)


def overlaps(first: str, second: str) -> bool:
    """Whether some single permission is meant by both patterns.

    A revocation is asked this way: whoever requires ``orders:*`` must not pass while ``orders:create`` is revoked.
    """
    first_resource, _, first_action = first.partition(":")
    second_resource, _, second_action = second.partition(":")
    return _meets(first_resource, second_resource) and _meets(first_action, second_action)


def _meets(first: str, second: str) -> bool:
    return first == second or ANY in (first, second)
