"""What a caller must be allowed to do: all of some permissions, any of some, or both within each other.

    requires(all_of("orders:read", any_of("orders:create", "orders:approve")))

Each is ``resource:action``; where a requirement says ``orders:*``, only who may do everything with orders meets it. A
requirement is never empty: all of nothing would let everybody in.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from ostraka_schemas.permissions import is_permission

from .errors import ConfigurationError

__all__ = ["Requirement", "all_of", "any_of"]

_BETWEEN: Final = {True: " and ", False: " or "}


class _Allows(Protocol):
    def allows(self, permission: str, /) -> bool: ...


@dataclass(frozen=True)
class Requirement:
    """Permissions, and whether all of them are needed or any one. Made by ``all_of`` and ``any_of``.

    Attributes:
        parts: permissions, or requirements in turn.
        needs_all: whether every part must be met; else one is enough.

    Raises:
        ConfigurationError: it is empty, or a part is neither a permission nor a requirement.
    """

    parts: tuple["str | Requirement", ...]
    needs_all: bool

    def __post_init__(self) -> None:
        if not self.parts:
            raise ConfigurationError("a requirement names at least one permission: an empty one would mean nothing")
        for part in self.parts:
            if not isinstance(part, Requirement) and not is_permission(part):
                raise ConfigurationError(f"{part!r} is not a permission: write resource:action, e.g. orders:create")

    def is_met_by(self, grant: _Allows) -> bool:
        """Whether ``grant`` allows it now."""
        met = (part.is_met_by(grant) if isinstance(part, Requirement) else grant.allows(part) for part in self.parts)
        return all(met) if self.needs_all else any(met)

    def __str__(self) -> str:
        return _BETWEEN[self.needs_all].join(
            f"({part})" if isinstance(part, Requirement) else part for part in self.parts
        )


def all_of(*parts: str | Requirement) -> Requirement:
    """Every one of ``parts`` is needed.

    Raises:
        ConfigurationError: there is none, or one is neither a permission nor a requirement.
    """
    return Requirement(parts, needs_all=True)


def any_of(*parts: str | Requirement) -> Requirement:
    """One of ``parts`` is enough.

    Raises:
        ConfigurationError: there is none, or one is neither a permission nor a requirement.
    """
    return Requirement(parts, needs_all=False)
