"""Whose names stand in the commands to paste."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ostraka_issuer.accounts.people import User
from ostraka_schemas.permissions import covered_by_any

NOBODY: Final = "NAME"
"""Stands where no user of the home may do it."""


@dataclass(frozen=True, slots=True)
class People:
    """Who may order, and who may cut off. By default the users of a home that the desk makes."""

    customer: str = "alice"
    operator: str = "operator"

    @classmethod
    def among(cls, users: Sequence[User]) -> "People":
        """Those of a home that is there already: under the same names if they may, else the first who may."""
        usual = cls()
        return cls(
            _find(users, "orders:create", usual.customer),
            _find(users, "revocations:create", usual.operator),
        )


def _find(users: Sequence[User], permission: str, usual: str) -> str:
    able = [user.username for user in users if not user.disabled and covered_by_any(user.effective, permission)]
    return usual if usual in able else next(iter(able), NOBODY)
