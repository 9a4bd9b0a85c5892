"""One set of settings out of all layers, or one line for each thing that is wrong. No value is ever in a line."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings
from pydantic_settings.exceptions import SettingsError

from ostraka_issuer.errors import SetupError

from .describe import settings_of
from .layers import Layer, arguments, chosen_file, environment, file, is_open_to_all, stray_variables, variable_of

M = TypeVar("M", bound=BaseSettings)
Further: TypeAlias = Callable[[M], list[str]]
"""Says, a line each, what is wrong that no single setting shows: in files, or between several of them."""

_SAID_BY_ALLOWED = ("bool_", "enum", "float_", "greater_", "int_", "less_", "literal_", "path_")
"""Kinds of errors for which "must be …" says more than pydantic does."""


@dataclass(frozen=True, slots=True)
class Resolved(Generic[M]):
    """The settings, and of each that is no default the layer it comes from."""

    settings: M
    origins: Mapping[str, Layer]


def resolve(
    model: type[M],
    given: Mapping[str, Any],
    *,
    known: type[BaseSettings] | None = None,
    further: Further[M] | None = None,
) -> Resolved[M]:
    """Read every source.

    Args:
        given: arguments; those that are ``None`` were not given.
        known: the model that knows all settings there are, if ``model`` is only a part of it.
        further: asked as well, also if a setting is wrong: that one is left out then.

    Raises:
        SetupError: what is wrong, a line each.
    """
    everything = known or model
    path = chosen_file()
    try:
        layers = [arguments(given), environment(model), *([] if path is None else [file(path)])]
    except SettingsError:
        raise SetupError("a variable OSTRAKA_… cannot be read as what it should be") from None
    lines = _strays(layers, everything)
    origins: dict[str, Layer] = {}
    for layer in reversed(layers):
        origins.update({name: layer for name in layer.values if name in model.model_fields})
    values = {name: layer.values[name] for name, layer in origins.items()}
    settings, wrong = _made(model, values)
    lines += [_line(item, model, origins) for item in wrong]
    if further is not None:
        faulty = {item["loc"][0] for item in wrong if item["loc"]}
        rest, _ = _made(model, {name: value for name, value in values.items() if name not in faulty})
        lines += [] if rest is None else further(rest)
    if settings is None or lines:
        raise refused(lines)
    return Resolved(settings, origins)


def refused(lines: Sequence[str]) -> SetupError:
    """What is wrong with the settings: in one line, or a line each below a head."""
    if len(lines) == 1:
        return SetupError(f"setting {lines[0]}")
    return SetupError("\n  ".join([f"{len(lines)} settings are wrong:", *lines]))


def _strays(layers: Sequence[Layer], known: type[BaseSettings]) -> list[str]:
    """Names that are no settings, and secrets that anybody may read."""
    found = [
        _unknown(name, "environment", map(variable_of, known.model_fields))
        for name in stray_variables(known.model_fields)
    ]
    for layer in layers:
        strays = [name for name in layer.values if name not in known.model_fields]
        found += [_unknown(name, layer.place_of(name), known.model_fields) for name in strays]
        if layer.path is not None:
            found += _exposed(layer, known)
    return found


def _exposed(layer: Layer, known: type[BaseSettings]) -> list[str]:
    secrets = [name for name in layer.values if name in known.model_fields and settings_of(known)[name].secret]
    if not secrets or layer.path is None or not is_open_to_all(layer.path):
        return []
    return [f"{secrets[0]} ({layer.path}): is a secret in a file that is open to everybody; run: chmod o= {layer.path}"]


def _unknown(name: str, place: str, known: Any) -> str:
    near = difflib.get_close_matches(name.upper() if place == "environment" else name, list(known), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{_printable(name)} ({place}): there is no such setting{hint}"


def _made(model: type[M], values: Mapping[str, Any]) -> tuple[M | None, list[ErrorDetails]]:
    """The settings, or what is wrong with each that is."""
    try:
        return model(**values), []
    except ValidationError as error:
        return None, error.errors(include_input=False, include_url=False, include_context=False)


def _line(item: ErrorDetails, model: type[BaseSettings], origins: Mapping[str, Layer]) -> str:
    name = str(item["loc"][0]) if item["loc"] else "settings"
    layer = origins.get(name)
    setting = settings_of(model).get(name)
    if item["type"] in ("too_short", "string_too_short"):
        why = "must not be empty"
    elif setting is not None and len(item["loc"]) == 1 and item["type"].startswith(_SAID_BY_ALLOWED):
        why = f"must be {setting.allowed}"
    else:
        why = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return f"{name} ({'default' if layer is None else layer.place_of(name)}): {why}"


def _printable(name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in name[:64])
