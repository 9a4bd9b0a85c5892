"""What can be a name, a permission or a reason. What the database could not even be asked for is refused here."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from ostraka_issuer.errors import BadRequest
from ostraka_issuer.limits import GRANTED_TEXT_MAX, ROLES_OF_A_USER_MAX, USERNAME_MAX_CHARS
from ostraka_schemas.limits import ID_MAX_CHARS, PERMISSIONS_MAX, TEXT_MAX_CHARS
from ostraka_schemas.permissions import is_permission

_ID: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._\-]{{0,{ID_MAX_CHARS - 1}}}", re.ASCII)


def check_username(username: str) -> None:
    """Refuse what cannot be the name of a user.

    Raises:
        BadRequest
    """
    if not 1 <= len(username) <= USERNAME_MAX_CHARS or not username.isprintable() or " " in username:
        raise BadRequest(f"a user name has 1 to {USERNAME_MAX_CHARS} printable characters and no space")


def composed(username: str) -> str:
    """A user name as it is kept: one name, however the keyboard composes it (Unicode NFC; RFC 8265 §3.3)."""
    return unicodedata.normalize("NFC", username)


def spellings(username: str) -> tuple[str, ...]:
    """How a user name may be kept, first as it was given: older ones are kept as they came, composed or not."""
    return tuple(dict.fromkeys((username, composed(username), unicodedata.normalize("NFD", username))))


def check_id(text: str, what: str) -> None:
    """Refuse what cannot be the id of a client or the name of a role: it stands in URLs, tokens and command lines.

    Raises:
        BadRequest
    """
    if _ID.fullmatch(text) is None:
        raise BadRequest(
            f"{what} has 1 to {ID_MAX_CHARS} characters of A-Z a-z 0-9 . _ - and begins with none of . _ -"
        )


def check_text(text: str, what: str) -> None:
    """Refuse what cannot be kept as a text for people.

    Raises:
        BadRequest
    """
    if len(text) > TEXT_MAX_CHARS or not is_text(text):
        raise BadRequest(f"{what} has at most {TEXT_MAX_CHARS} characters, all of them Unicode")


def check_reason(reason: str | None) -> None:
    """Refuse a reason that cannot be published.

    Raises:
        BadRequest
    """
    if reason is not None:
        check_text(reason, "a reason")


def is_text(text: str) -> bool:
    """Whether a text can be kept: arguments of a command may hold bytes that are none, and no database takes NUL."""
    return not any(char == "\x00" or "\ud800" <= char <= "\udfff" for char in text)


def check_permissions(permissions: Sequence[str]) -> tuple[str, ...]:
    """The permissions, each once.

    Raises:
        BadRequest: one is none, or they are more than a token holds.
    """
    granted = tuple(dict.fromkeys(permissions))
    if not all(is_permission(permission) for permission in granted):
        raise BadRequest("a permission is resource:action, each of A-Z a-z 0-9 . _ - or a single *")
    check_weight(granted)
    return granted


def check_weight(permissions: Sequence[str]) -> None:
    """Refuse more permissions than a token holds.

    Raises:
        BadRequest
    """
    if len(permissions) > PERMISSIONS_MAX or sum(map(len, permissions)) > GRANTED_TEXT_MAX:
        raise BadRequest(
            f"a user has at most {PERMISSIONS_MAX} permissions, {GRANTED_TEXT_MAX} characters together, "
            "those of the roles included; so has a client or a role"
        )


def check_roles(roles: Sequence[str]) -> tuple[str, ...]:
    """Names of roles, each once.

    Raises:
        BadRequest: one cannot be a name, or there are too many.
    """
    wanted = tuple(dict.fromkeys(roles))
    for role in wanted:
        check_id(role, "the name of a role")
    if len(wanted) > ROLES_OF_A_USER_MAX:
        raise BadRequest(f"a user has at most {ROLES_OF_A_USER_MAX} roles")
    return wanted
