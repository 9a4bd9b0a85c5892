"""Forms (RFC 6749 §3.2, appendix B), read strictly and within bounds."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from ostraka_issuer.limits import FORM_FIELDS_MAX

from .errors import InvalidRequest

MEDIA_TYPE: Final = "application/x-www-form-urlencoded"
_REPEATABLE: Final = frozenset({"audience", "resource"})
"""RFC 8693 §2.1. Of everything else there is one (RFC 6749 §3.2)."""


class Form:
    """The parameters of a request. A parameter without a value is as good as none (RFC 6749 §3.2)."""

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        self._fields = fields

    def get(self, name: str) -> str | None:
        """The value of a parameter, if it is there."""
        values = self._fields.get(name)
        return (values[0] or None) if values else None

    def all(self, name: str) -> tuple[str, ...]:
        """All values of a parameter."""
        return tuple(self._fields.get(name, ()))

    def require(self, name: str) -> str:
        """The value of a parameter.

        Raises:
            InvalidRequest: it is not there.
        """
        value = self.get(name)
        if value is None:
            raise InvalidRequest(f"{name} is missing")
        return value

    def __repr__(self) -> str:
        return f"Form({', '.join(sorted(self._fields))})"


def read_form(content_type: str, body: bytes) -> Form:
    """Read the body of a request.

    Raises:
        InvalidRequest: another media type, not a form, a parameter twice, too many of them, or a character that is
            none. No value is repeated.
    """
    if content_type.partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise InvalidRequest(f"the body is {MEDIA_TYPE}")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=FORM_FIELDS_MAX,
        )
    except ValueError as error:
        raise InvalidRequest("the form cannot be read") from error
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in fields and name not in _REPEATABLE:
            raise InvalidRequest("a parameter is there twice")
        if "\x00" in value:
            raise InvalidRequest("no parameter has a NUL in it")
        fields.setdefault(name, []).append(value)
    return Form({name: [value for value in values if value] for name, values in fields.items()})
