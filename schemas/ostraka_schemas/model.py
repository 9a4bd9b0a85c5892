"""What every wire model has in common: strict types, frozen, foreign members ignored (RFC 7519 §4, RFC 8417 §2)."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from . import base64url
from .errors import MalformedError
from .limits import ERRORS_LISTED_MAX, ID_MAX_CHARS, SEQ_MAX, TEXT_MAX_CHARS

T = TypeVar("T")


class WireModel(BaseModel):
    """Base of all that travels. No coercion; members a reader does not know are ignored."""

    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)


def _hash(text: str) -> str:
    base64url.decode_text(text, size=32)
    return text


def _wire_error_as_value_error(check: Callable[[str], str]) -> Callable[[str], str]:
    def checked(text: str) -> str:
        try:
            return check(text)
        except MalformedError as error:
            raise ValueError(str(error)) from error

    return checked


Identifier = Annotated[str, StringConstraints(min_length=1, max_length=ID_MAX_CHARS)]
Text = Annotated[str, StringConstraints(max_length=TEXT_MAX_CHARS)]
NumericDate = Annotated[int, Field(ge=0, le=SEQ_MAX)]
"""Seconds since 1970-01-01T00:00:00Z, whole ones only (RFC 7519 §2 allows fractions; nothing here needs them)."""
Count = Annotated[int, Field(ge=1, le=SEQ_MAX)]
Sha256 = Annotated[str, AfterValidator(_wire_error_as_value_error(_hash))]
"""A SHA-256 digest, base64url."""


def validated(build: Callable[[], T], what: str) -> T:
    """Run a pydantic validation and let only our own error out.

    Raises:
        MalformedError: names the members that are wrong, never their values.
    """
    try:
        return build()
    except ValidationError as error:
        raise MalformedError(f"{what}: {_places(error)}") from error


def _places(error: ValidationError) -> str:
    # Locations are field names of ours and positions; a foreign name could be long, so it is cut.
    def place(item: Any) -> str:
        return ".".join(str(part)[:40] for part in item["loc"]) or "the whole"

    def problem(item: Any) -> str:
        # The one message of pydantic's that repeats what was given.
        return "an unknown format" if item["type"] == "union_tag_invalid" else str(item["msg"])

    if error.error_count() > ERRORS_LISTED_MAX:
        return f"{error.error_count()} things are wrong"
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{place(item)}: {problem(item)}" for item in found[:5])
