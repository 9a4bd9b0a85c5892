"""What can be set: of each setting its name, what it does, what is allowed, and its default."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from .layers import variable_of

_PLAIN = {"boolean": "true or false", "number": "a number", "string": "a text"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        text: what it does.
        allowed: which values it takes, in words.
        default: as it would be written; ``None`` if there is none.
        secret: its value is never shown.
    """

    name: str
    text: str
    allowed: str
    default: str | None
    secret: bool

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return variable_of(self.name)


@cache
def settings_of(model: type[BaseSettings]) -> Mapping[str, Setting]:
    """All settings of a model, by name, in its order."""
    schema = model.model_json_schema(mode="validation")
    shared = schema.get("$defs", {})
    return {
        name: Setting(
            name=name,
            text=" ".join((field.description or "").split()),
            allowed=_allowed(schema["properties"][name], shared),
            default=spelled(field.get_default(call_default_factory=True, validated_data={})),
            secret=is_secret(field),
        )
        for name, field in model.model_fields.items()
    }


def is_secret(field: FieldInfo) -> bool:
    """Whether a setting holds what must not be shown."""
    return "SecretStr" in str(field.annotation)


def spelled(value: object) -> str | None:
    """A value as it would be written in the environment; ``None`` for none. Secrets are hidden."""
    match value:
        case None:
            return None
        case SecretStr():
            return "(hidden)"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return ",".join(str(part) for part in value)
        case Path():
            return str(value)
        case _:
            return str(value)


def _allowed(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    for branch in schema.get("anyOf", ()):
        if branch.get("type") != "null":
            return _allowed(branch, shared)
    if "$ref" in schema:
        return _allowed(shared[schema["$ref"].rsplit("/", 1)[-1]], shared)
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    if "const" in schema:
        return f"only {schema['const']}"
    if schema.get("type") == "integer":
        return _number(schema)
    if schema.get("type") == "array":
        return "a list; in the environment joined by commas"
    if schema.get("format") == "path":
        return "a path"
    return _PLAIN.get(str(schema.get("type")), "a value")


def _number(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"a whole number from {low} to {high}"
    return "a whole number" + (f" from {low} on" if low is not None else f" up to {high}" if high is not None else "")
